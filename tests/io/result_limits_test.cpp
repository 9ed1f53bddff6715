// Results that do not fit. A limit of file sizes stands for a full disk: both make the reservation fail.

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>

#include "files.hpp"
#include "grids.hpp"
#include "results.hpp"

namespace convoy::io {
namespace {

class FileSizeLimit {
 public:
    explicit FileSizeLimit(rlim_t bytes) {
        std::signal(SIGXFSZ, SIG_IGN);
        ::getrlimit(RLIMIT_FSIZE, &old_);
        const rlimit limit{bytes, old_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    ~FileSizeLimit() { ::setrlimit(RLIMIT_FSIZE, &old_); }

 private:
    rlimit old_{};
};

TEST(ResultTooLarge, LeavesNothingBehind) {
    const Communicator world = Communicator::world();
    const Folder folder{world};
    Problem problem;
    problem.n = 50000;
    problem.f = problem.a = noise(problem.n, 1);
    problem.x = noise(problem.n * problem.d, 2);
    if (world.is_root()) write_file(folder / "out.h5", "precious");
    world.barrier();
    std::string message;
    {
        const FileSizeLimit limit{400000};
        message = agreed_error<Failure>(world, [&] {
            Written{problem, Grid{world, {1, world.size()}}}.write(folder / "out.h5", true);
        });
    }

    expect_words(message, {"3.1 MB cannot be reserved", "File too large", "ulimit"});
    EXPECT_EQ(folder.names(), std::vector<std::string>{"out.h5"});
    EXPECT_EQ(bytes_of(folder / "out.h5"), "precious");
}

TEST(ResultTooLarge, LeavesNothingBehindWhenOnlyTheRestDoesNotFit) {
    const Communicator world = Communicator::world();
    const Folder folder{world};
    Problem problem;
    problem.n = 50000;
    problem.f = problem.a = noise(problem.n, 1);
    problem.x = noise(problem.n * problem.d, 2);
    std::string message;
    {
        const FileSizeLimit limit{2000800};  // the large datasets fit, the rest does not
        message = agreed_error<Failure>(world, [&] {
            Written{problem, Grid{world, {1, world.size()}}}.write(folder / "out.h5", true);
        });
    }

    expect_words(message, {"cannot be reserved", "File too large"});
    EXPECT_TRUE(folder.names().empty());
    Written{problem, Grid{world, {1, world.size()}}}.write(folder / "out.h5");
    EXPECT_TRUE(describe(folder / "out.h5").complete);
}

}  // namespace
}  // namespace convoy::io
