// GoogleTest's main, except that running no test at all is a failure: a filter that fits nothing looks like success.
#include <gtest/gtest.h>

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    const int failed = RUN_ALL_TESTS();
    const bool listing = testing::GTEST_FLAG(list_tests);
    return testing::UnitTest::GetInstance()->test_to_run_count() == 0 && !listing ? 1 : failed;
}
