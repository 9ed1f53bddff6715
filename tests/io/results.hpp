#pragma once
// A small result, the same on every grid.

#include "grids.hpp"
#include "io/result.hpp"

namespace convoy::io {

struct Problem {
    std::int64_t n = 23, m = 10, d = 3;
    std::vector<double> f = noise(n, 1), g = noise(m, 2), a = noise(n, 3), b = noise(m, 4), x = noise(n * d, 5),
                        y = noise(m * d, 6);
};

struct Written {
    Grid grid;
    Partition rows, columns;
    DistributedCloud source, target;
    Result result;

    Written(const Problem& p, Grid on) : Written(p, on, Partition::even(p.n, on.parts(Side::row))) {}
    Written(const Problem& p, Grid on, Partition cut)
        : grid{std::move(on)}, rows{std::move(cut)}, columns{Partition::even(p.m, grid.parts(Side::column))} {
        source = {rows,
                  {rows.count(grid.part(Side::row)), p.d, part_of(grid, Side::row, rows, p.d, p.x),
                   part_of(grid, Side::row, rows, 1, p.a)}};
        target = {columns,
                  {columns.count(grid.part(Side::column)), p.d, part_of(grid, Side::column, columns, p.d, p.y),
                   part_of(grid, Side::column, columns, 1, p.b)}};
        result.root = {{"program", std::string{"convoy"}}, {"status", std::string{"converged"}}};
        result.solution = {{"epsilon", 0.125},
                           {"epsilon_rule", std::string{"0.05std"}},
                           {"cost", std::string{"sqeuclidean"}},
                           {"half_passes", std::int64_t{12}}};
        for (int k = 0; k < 20; ++k) result.run.emplace_back("fact_" + std::to_string(19 - k), std::int64_t{k});
        result.source_input.path = "x.npy";
        result.source_input.absolute_path = "/data/x.npy";
        result.source_input.checksum = 0xFFFFFFFFu;
        result.history = {{1, 0.5, 0.1, 0.01}, {2, 0.125, 0.001, 0.02}};
        result.timing = {{"read", 0.1, 0.2, 0.3}, {"solve", 1, 2, 3}};
        result.f = part_of(grid, Side::row, rows, 1, p.f);
        result.g = part_of(grid, Side::column, columns, 1, p.g);
        result.store_source = result.store_target = true;
    }
    void write(const std::string& path, bool overwrite = false) const {
        write_result(grid, source, target, result, path, overwrite);
    }
};

}  // namespace convoy::io
