// GoogleTest's main for MPI: every rank runs every test, rank 0 speaks, a failure on any rank fails the test on all,
// and a test that leaves the ranks out of step ends the run instead of hanging it.
#include <gtest/gtest.h>
#include <mpi.h>

#include <cstdio>
#include <memory>
#include <sstream>

namespace {

class RankListener : public testing::EmptyTestEventListener {
 public:
    RankListener(MPI_Comm comm, std::unique_ptr<testing::TestEventListener> printer)
        : comm_{comm}, printer_{std::move(printer)} {
        MPI_Comm_rank(comm_, &rank_);
        MPI_Comm_size(comm_, &size_);
    }

    void OnTestProgramStart(const testing::UnitTest& test) override {
        if (rank_ == 0) printer_->OnTestProgramStart(test);
    }

    void OnTestStart(const testing::TestInfo& test) override {
        if (rank_ == 0) printer_->OnTestStart(test);
        MPI_Barrier(comm_);
    }

    void OnTestPartResult(const testing::TestPartResult& part) override {
        if (part.skipped() && rank_ == 0) printer_->OnTestPartResult(part);
        if (!part.failed()) return;
        std::ostringstream line;
        line << "[rank " << rank_ << "/" << size_ << "] " << part << '\n';
        std::fputs(line.str().c_str(), stderr);
        // A fatal failure (a thrown exception is one) leaves the test here, while the other ranks go on into its next
        // collective and would wait there for ever.
        if (part.fatally_failed() && size_ > 1) MPI_Abort(comm_, 1);
    }

    void OnTestEnd(const testing::TestInfo& test) override {
        const int here = test.result()->Failed();
        int anywhere = 0;
        MPI_Allreduce(&here, &anywhere, 1, MPI_INT, MPI_MAX, comm_);
        if (anywhere && !here) ADD_FAILURE() << "failed on another rank";
        if (rank_ == 0) printer_->OnTestEnd(test);
    }

    void OnTestProgramEnd(const testing::UnitTest& test) override {
        if (rank_ == 0) printer_->OnTestProgramEnd(test);
    }

 private:
    MPI_Comm comm_;
    int rank_ = 0, size_ = 1;
    std::unique_ptr<testing::TestEventListener> printer_;
};

}  // namespace

int main(int argc, char** argv) {
    int provided = MPI_THREAD_SINGLE;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    // The harness talks over its own communicator: a collective that a test forgot never pairs with one of these.
    MPI_Comm harness = MPI_COMM_NULL;
    MPI_Comm_dup(MPI_COMM_WORLD, &harness);

    testing::InitGoogleTest(&argc, argv);
    testing::GTEST_FLAG(catch_exceptions) = true;
    auto& listeners = testing::UnitTest::GetInstance()->listeners();
    std::unique_ptr<testing::TestEventListener> printer{listeners.Release(listeners.default_result_printer())};
    listeners.Append(new RankListener{harness, std::move(printer)});

    int failed = RUN_ALL_TESTS();
    if (testing::UnitTest::GetInstance()->test_to_run_count() == 0 && !testing::GTEST_FLAG(list_tests)) {
        std::fputs("no test was run\n", stderr);
        failed = 1;
    }
    MPI_Allreduce(MPI_IN_PLACE, &failed, 1, MPI_INT, MPI_MAX, harness);
    MPI_Comm_free(&harness);
    MPI_Finalize();
    return failed;
}
