#include "io/result.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "files.hpp"
#include "grids.hpp"
#include "hdf5_files.hpp"
#include "io/checksum.hpp"
#include "results.hpp"

namespace convoy::io {
namespace {

class ResultFile : public testing::Test {
 protected:
    Communicator world_ = Communicator::world();
    Folder folder_{world_};
    Problem problem_;
    std::string path_ = folder_ / "out.h5";
    Grid any_grid() const { return {world_, {1, world_.size()}}; }

    std::string unreadable(std::int64_t n, std::int64_t m, const std::string& path) {
        const Grid grid = any_grid();
        return agreed_error<InputError>(
            world_, [&] { read_potentials(grid, Partition::even(n, 1), Partition::even(m, world_.size()), path); });
    }
};

TEST_F(ResultFile, IsTheSameToTheByteOnEveryGrid) {
    if (world_.is_root()) Written{problem_, Grid{}}.write(path_);
    world_.barrier();
    const std::string expected = bytes_of(path_);

    for (const GridShape shape : shapes_of(world_.size())) {
        Written{problem_, Grid{world_, shape}}.write(path_, true);

        EXPECT_TRUE(bytes_of(path_) == expected) << shape.name();
        world_.barrier();
    }
    EXPECT_EQ(folder_.names(), std::vector<std::string>{"out.h5"});
}

TEST_F(ResultFile, IsTheSameWithEmptyParts) {
    if (world_.is_root()) Written{problem_, Grid{}}.write(path_);
    world_.barrier();
    const std::string expected = bytes_of(path_);
    std::vector<std::int64_t> counts(static_cast<std::size_t>(world_.size()), 0);
    counts.back() = 23;

    Written{problem_, Grid{world_, {world_.size(), 1}}, Partition::of_counts(counts)}.write(path_, true);

    EXPECT_TRUE(bytes_of(path_) == expected);
}

TEST_F(ResultFile, HoldsWhatWasGiven) {
    Written{problem_, any_grid()}.write(path_);

    EXPECT_EQ(read_all(path_ + "#potentials/f"), problem_.f);
    EXPECT_EQ(read_all(path_ + "#potentials/g"), problem_.g);
    EXPECT_EQ(read_all(path_ + "#weights/a"), problem_.a);
    EXPECT_EQ(read_all(path_ + "#weights/b"), problem_.b);
    EXPECT_EQ(read_all(path_ + "#source/points"), problem_.x);
    EXPECT_EQ(read_all(path_ + "#target/points"), problem_.y);
    EXPECT_EQ(read_all(path_ + "#history/half_pass"), (std::vector<double>{1, 2}));
    EXPECT_EQ(read_all(path_ + "#history/marginal_error"), (std::vector<double>{0.1, 0.001}));
    EXPECT_EQ(read_all(path_ + "#timing/max"), (std::vector<double>{0.3, 3}));
}

TEST_F(ResultFile, IsDescribedInOrder) {
    Written{problem_, any_grid()}.write(path_);

    const Description description = describe(path_);

    std::map<std::string, std::string> text{description.attributes.begin(), description.attributes.end()};
    EXPECT_TRUE(description.complete);
    EXPECT_EQ(description.attributes[0].first, "/format");
    EXPECT_EQ(text["/format"], "convoy-result");
    EXPECT_EQ(text["/format_version"], "1");
    EXPECT_EQ(text["/complete"], "1");
    EXPECT_EQ(text["/status"], "converged");
    EXPECT_EQ(text["/solution/epsilon"], "0.125");
    EXPECT_EQ(text["/inputs/source/checksum"], "4294967295");
    EXPECT_EQ(text["/potentials/f/checksum"], std::to_string(crc32c(problem_.f)));
    EXPECT_EQ(text["/source/points/checksum"], std::to_string(crc32c(problem_.x)));
    const auto first_fact = std::ranges::find(description.attributes, "/run/fact_19",
                                              [](const auto& attribute) { return attribute.first; });
    ASSERT_NE(first_fact, description.attributes.end());
    EXPECT_EQ((first_fact + 1)->first, "/run/fact_18");
    const std::map<std::string, std::string> shapes{description.datasets.begin(), description.datasets.end()};
    EXPECT_EQ(shapes.at("/potentials/f"), "float64 (23)");
    EXPECT_EQ(shapes.at("/target/points"), "float64 (10 x 3)");
    EXPECT_EQ(shapes.at("/history/half_pass"), "int64 (2)");
    EXPECT_EQ(shapes.at("/timing/phase"), "string (2)");
}

TEST_F(ResultFile, MayHaveNeitherHistoryNorTiming) {
    Written written{problem_, any_grid()};
    written.result.history.clear();
    written.result.timing.clear();
    written.result.store_source = written.result.store_target = false;

    written.write(path_);

    EXPECT_EQ(describe(path_).datasets.size(), 12u);
}

TEST_F(ResultFile, HoldsWhatACommandAdds) {
    const auto with_more = [&](Grid grid) {
        Written written{problem_, std::move(grid)};
        Result& result = written.result;
        result.datasets = {{"self/source/f", Side::row, 1, result.f},
                           {"self/target/f", Side::column, 1, result.g},
                           {"gradient/source", Side::row, problem_.d, written.source.local.points, true}};
        result.groups = {
            {"divergence", {{"divergence", 0.5}}},
            {"divergence/source", {{"status", std::string{"converged"}}, {"half_passes", std::int64_t{7}}}},
            {"self/target", {{"of", std::string{"target"}}}}};
        return written;
    };
    if (world_.is_root()) with_more(Grid{}).write(path_);
    world_.barrier();
    const std::string expected = bytes_of(path_);

    for (const GridShape shape : shapes_of(world_.size())) {
        with_more(Grid{world_, shape}).write(path_, true);

        EXPECT_TRUE(bytes_of(path_) == expected) << shape.name();
        world_.barrier();
    }
    EXPECT_EQ(read_all(path_ + "#self/source/f"), problem_.f);
    EXPECT_EQ(read_all(path_ + "#self/target/f"), problem_.g);
    EXPECT_EQ(read_all(path_ + "#gradient/source"), problem_.x);
    const Description description = describe(path_);
    const std::map<std::string, std::string> text{description.attributes.begin(), description.attributes.end()};
    EXPECT_EQ(text.at("/divergence/divergence"), "0.5");
    EXPECT_EQ(text.at("/divergence/source/half_passes"), "7");
    EXPECT_EQ(text.at("/self/target/of"), "target");
    EXPECT_EQ(text.at("/gradient/source/checksum"), std::to_string(crc32c(problem_.x)));
    const std::map<std::string, std::string> shapes{description.datasets.begin(), description.datasets.end()};
    EXPECT_EQ(shapes.at("/gradient/source"), "float64 (23 x 3)");
}

TEST_F(ResultFile, GivesPotentialsBackOnEveryGrid) {
    Written{problem_, any_grid()}.write(path_);

    for (const GridShape shape : shapes_of(world_.size())) {
        const Grid grid{world_, shape};
        const Partition rows = Partition::even(23, shape.rows), columns = Partition::even(10, shape.columns);
        const StoredPotentials stored = read_potentials(grid, rows, columns, path_);

        EXPECT_EQ(stored.f, part_of(grid, Side::row, rows, 1, problem_.f));
        EXPECT_EQ(stored.g, part_of(grid, Side::column, columns, 1, problem_.g));
        EXPECT_EQ(stored.epsilon, 0.125);
        EXPECT_EQ(stored.cost, "sqeuclidean");
    }
}

TEST_F(ResultFile, IsRefusedAsAStartWhereItDoesNotFit) {
    Written{problem_, any_grid()}.write(path_);
    const std::string other = folder_ / "other.h5";
    const std::string whole = bytes_of(path_);
    const auto change = [&](auto&& action) {
        world_.barrier();
        if (world_.is_root()) action();
        world_.barrier();
    };

    expect_words(unreadable(24, 10, path_), {"23 source potentials", "24 source points"});
    expect_words(unreadable(23, 9, path_), {"10 target potentials", "9 target points"});
    expect_words(unreadable(23, 10, folder_ / "absent.h5"), {"no such file"});
    change([&] { write_file(other, whole.substr(0, whole.size() / 2)); });
    expect_words(unreadable(23, 10, other), {"damaged or truncated"});
    change([&] { new_file(other); });
    expect_words(unreadable(23, 10, other), {"not written by convoy"});
    change([&] {
        std::string flipped = whole;
        const auto at = flipped.find(raw(problem_.g));
        flipped[at + 10] = static_cast<char>(flipped[at + 10] ^ 1);
        write_file(other, flipped);
    });
    expect_words(unreadable(23, 10, other), {"damaged", "checksum"});
    change([&] {
        write_file(other, whole);
        const Hdf5 file{H5Fopen(other.c_str(), H5F_ACC_RDWR, H5P_DEFAULT), H5Fclose};
        const Hdf5 mark{H5Aopen(file.get(), "complete", H5P_DEFAULT), H5Aclose};
        const unsigned zero = 0;
        H5Awrite(mark.get(), H5T_NATIVE_UINT, &zero);
    });
    expect_words(unreadable(23, 10, other), {"incomplete"});
    EXPECT_FALSE(describe(other).complete);
}

TEST_F(ResultFile, DoesNotReplaceAnotherUnasked) {
    if (world_.is_root()) write_file(path_, "precious");
    world_.barrier();

    expect_words(agreed_error<InputError>(world_, [&] { check_output(world_, path_, false); }),
                 {"it exists", "--overwrite"});
    check_output(world_, path_, true);
    // It appeared while the solver ran: the finished result is kept beside it.
    const std::string message = agreed_error<Failure>(world_, [&] {
        Written{problem_, any_grid()}.write(path_, false);
    });

    expect_words(message, {"another file of this name has appeared", "out.h5.part."});
    EXPECT_EQ(bytes_of(path_), "precious");
    ASSERT_EQ(folder_.names().size(), 2u);
    for (const std::string& name : folder_.names()) {
        if (name != "out.h5") {
            EXPECT_TRUE(describe(folder_ / name).complete);
        }
    }
}

TEST_F(ResultFile, ReplacesALinkAndNotWhatItPointsTo) {
    if (world_.is_root()) {
        write_file(folder_ / "precious", "precious");
        std::filesystem::create_symlink(folder_ / "precious", path_);
    }
    world_.barrier();

    Written{problem_, any_grid()}.write(path_, true);

    EXPECT_EQ(bytes_of(folder_ / "precious"), "precious");
    EXPECT_FALSE(std::filesystem::is_symlink(path_));
    EXPECT_TRUE(describe(path_).complete);
}

TEST_F(ResultFile, ObeysTheUmask) {
    const mode_t old = ::umask(027);
    Written{problem_, any_grid()}.write(path_);
    ::umask(old);

    using std::filesystem::perms;
    EXPECT_EQ(std::filesystem::status(path_).permissions(), perms::owner_read | perms::owner_write | perms::group_read);
}

TEST_F(ResultFile, NeedsAFolderToWriteIn) {
    const auto refused = [&](const std::string& path) {
        return agreed_error<InputError>(world_, [&] { check_output(world_, path, true); });
    };

    expect_words(refused(folder_ / "no/such/out.h5"), {"no folder", "mkdir -p"});
    expect_words(refused(folder_.path()), {"it is a folder"});
    expect_words(refused(folder_ / ""), {"names no file"});
    expect_words(refused("/proc/out.h5"), {"cannot be created"});
    expect_words(refused("/dev/null"), {"no regular file"});
    check_output(world_, path_, false);
    EXPECT_TRUE(folder_.names().empty());
    expect_words(agreed_error<Failure>(world_,
                                       [&] {
                                           Written{problem_, any_grid()}.write(folder_ / "no/such/out.h5");
                                       }),
                 {"cannot be created"});
}

}  // namespace
}  // namespace convoy::io
