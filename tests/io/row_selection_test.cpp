#include "io/row_selection.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <random>
#include <set>

#include "convoy/partition.hpp"

namespace convoy::io {
namespace {

struct Case {
    RowSelection selection;
    std::vector<std::int64_t> rows;  // chosen, ascending
};

Case random_case(std::int64_t file_rows, double share, std::uint64_t seed) {
    std::mt19937_64 random{seed};
    Case made{RowSelection{file_rows}, {}};
    // Runs as well as single rows.
    bool chosen = false;
    for (std::int64_t row = 0; row < file_rows; ++row) {
        if (random() % 4 != 0) chosen = static_cast<double>(random() % 1000) < 1000 * share;
        if (!chosen) continue;
        made.selection.add(row);
        made.rows.push_back(row);
    }
    made.selection.count();
    return made;
}

TEST(RowSelection, KnowsItsRowsAsAListDoes) {
    for (const std::int64_t file_rows : {1, 2, 63, 64, 65, 511, 512, 513, 3000}) {
        for (const double share : {0.01, 0.3, 0.9, 1.0}) {
            const auto [selection, rows] = random_case(file_rows, share, static_cast<std::uint64_t>(file_rows) + 7);
            ASSERT_EQ(selection.rows(), std::ssize(rows));
            EXPECT_EQ(selection.file_rows(), file_rows);
            for (std::size_t k = 0; k < rows.size(); ++k)
                ASSERT_EQ(selection.file_row(static_cast<std::int64_t>(k)), rows[k]);
            for (std::int64_t row = 0; row <= file_rows; ++row) {
                const auto before = std::lower_bound(rows.begin(), rows.end(), row) - rows.begin();
                ASSERT_EQ(selection.before(row), before);
                if (row < file_rows) {
                    ASSERT_EQ(selection.holds(row), std::binary_search(rows.begin(), rows.end(), row));
                }
            }
        }
    }
}

TEST(RowSelection, GivesRunsThatAreMaximal) {
    const auto [selection, rows] = random_case(2000, 0.5, 3);
    const std::int64_t count = selection.rows();
    for (const auto& [first, length] : std::vector<std::pair<std::int64_t, std::int64_t>>{
             {0, count}, {0, 1}, {count - 1, 1}, {17, 200}, {5, 0}, {count / 2, count - count / 2}}) {
        const std::vector<GlobalRun> runs = selection.runs(first, length);
        std::vector<std::int64_t> found;
        for (std::size_t k = 0; k < runs.size(); ++k) {
            EXPECT_GT(runs[k].count, 0);
            if (k > 0) {
                EXPECT_GT(runs[k].first.value, runs[k - 1].first.value + runs[k - 1].count);
            }
            for (std::int64_t i = 0; i < runs[k].count; ++i) found.push_back(runs[k].first.value + i);
        }
        EXPECT_EQ(found, std::vector<std::int64_t>(rows.begin() + first, rows.begin() + first + length));
    }
}

TEST(RowSelection, KeepsWhatIsInBoth) {
    auto [a, rows_a] = random_case(700, 0.6, 1);
    const auto [b, rows_b] = random_case(700, 0.6, 2);
    std::vector<std::int64_t> both;
    std::ranges::set_intersection(rows_a, rows_b, std::back_inserter(both));

    a.keep(b);
    a.count();

    ASSERT_EQ(a.rows(), std::ssize(both));
    for (std::size_t k = 0; k < both.size(); ++k) EXPECT_EQ(a.file_row(static_cast<std::int64_t>(k)), both[k]);
}

TEST(CutAtBands, NeverSplitsABandAndIsEvenWithinOne) {
    for (const std::int64_t rows : {1, 5, 64, 1000, 1003}) {
        for (const std::int64_t band : {1, 2, 7, 100, 5000}) {
            for (const std::int64_t pieces : {1, 2, 3, 7}) {
                for (const double share : {2.0, 1.0, 0.2}) {  // 2: no selection at all
                    const Case chosen = random_case(rows, share, 5);
                    const bool all = share > 1;
                    const std::int64_t count = all ? rows : chosen.selection.rows();
                    if (count == 0) continue;

                    const Partition cut = cut_at_bands(count, all ? nullptr : &chosen.selection, band, pieces);

                    ASSERT_EQ(cut.parts(), pieces);
                    ASSERT_EQ(cut.items(), count);
                    std::set<std::int64_t> seen;
                    const auto file_row = [&](std::int64_t row) { return all ? row : chosen.selection.file_row(row); };
                    for (std::int64_t piece = 0; piece < pieces; ++piece) {
                        const GlobalRun run = cut.run(PartIndex{piece});
                        EXPECT_LE(run.count, count / pieces + 1 + band);
                        if (run.count == 0) continue;
                        const std::int64_t first = file_row(run.first.value) / band;
                        const std::int64_t last = file_row(run.first.value + run.count - 1) / band;
                        for (std::int64_t b = first; b <= last; ++b)
                            EXPECT_TRUE(seen.insert(b).second || band == 1)
                                << rows << " " << band << " " << pieces << " " << share;
                    }
                }
            }
        }
    }
}

}  // namespace
}  // namespace convoy::io
