// convoy solve SOURCE TARGET -o OUT: potentials and values of one entropic optimal transport problem.

#include <fmt/format.h>

#include <string>

#include "app/closing.hpp"
#include "app/command.hpp"
#include "app/exit_codes.hpp"
#include "app/options.hpp"
#include "app/pairs.hpp"
#include "app/run.hpp"
#include "app/solve_run.hpp"
#include "convoy/error.hpp"

namespace convoy::app {

namespace {

constexpr const char* usage = "solve SOURCE TARGET -o OUT [options]";

bool parse(const Invocation& invocation, SolveOptions& options) {
    CommandLine line{
        usage, "Solves one entropic optimal transport problem: potentials f and g of all points, and the values.\n",
        "Examples:\n"
        "  convoy solve before.npy after.npy -o run.h5\n"
        "  convoy solve cells.h5ad cells.h5ad --source-where day=10 --target-where day=10.5 -o days.h5\n"
        "  convoy solve cells.h5ad --pairs day=sequential -o days.h5    (days_10_10.5.h5, days_10.5_11.h5, ...)\n"
        "  convoy solve a.h5#/X b.h5#/X --epsilon 0.01std --tolerance 1e-4 -o run.h5 --summary run.json\n"
        "  srun convoy solve a.h5#/X b.h5#/X --source-weights a.h5#/mass --time-limit 110m -o run.h5\n"
        "  srun convoy solve a.h5#/X b.h5#/X --checkpoint run.ckpt --resume -o run.h5     (exit code 75: submit "
        "again)\n\n"
        "Exit codes: 0 converged, 1 failed, 2 bad usage or input, 3 not converged (result written), 75 stopped early "
        "with a checkpoint.\n"};
    declare(line, options.problem, false);
    declare_pairs(line, options);
    declare(line, options.solver);
    declare(line, options.machine);
    declare(line, options.output);
    declare(line, options.checkpoint);
    declare(line, options.volume);
    if (!line.parse(invocation)) return false;

    check_together(line, options.problem);
    check_together(line, options.solver);
    check_together(line, options.machine);
    check_together(line, options.volume);
    open_checkpoint(invocation.world, line, options.checkpoint, options.output.output, options.output.overwrite);
    options.output.checkpoint = options.checkpoint.file;
    if (!options.pairs.empty()) {
        check_pairs(invocation.world, line, options);
        return true;
    }
    CONVOY_VALIDATE(!options.problem.target.points.empty(), fmt::format("no TARGET is given. Usage: convoy {}", usage));
    check_outputs(invocation.world, line, options.problem, options.solver, options.output);
    return true;
}

}  // namespace

int solve(const Invocation& invocation) {
    SolveOptions options;
    if (!parse(invocation, options)) return done;
    if (!options.pairs.empty()) return solve_pairs(invocation, options);
    Run run{invocation.world, options.volume, options.solver.time_limit, options.checkpoint};
    Problem problem = load_problem(run, "solve", options.problem, options.machine, options.solver);
    const WrittenResult written = solve_and_write(run, problem, invocation, options);
    run.checkpoints.remove();
    return close_run(run, problem, options.output, written.outcome, written.result);
}

}  // namespace convoy::app
