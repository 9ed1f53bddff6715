// The program `convoy`: finds the command, runs it, and turns what is thrown into one line and an exit code.

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <string>
#include <system_error>
#include <vector>

#include "app/checkpoints.hpp"
#include "app/command.hpp"
#include "app/command_line.hpp"
#include "app/console.hpp"
#include "app/exit_codes.hpp"
#include "app/provenance.hpp"
#include "app/spelling.hpp"
#include "app/standard_output.hpp"
#include "convoy/communicator.hpp"
#include "convoy/error.hpp"
#include "parallel/session.hpp"

namespace convoy::app {

namespace {

const std::vector<Command>& commands() {
    static const std::vector<Command> table = {
        {"solve", "potentials and values of one entropic optimal transport problem", solve},
        {"divergence", "Sinkhorn divergence of two clouds, and its gradient", divergence},
        {"progot", "progressive entropic optimal transport: the map, and the last coupling", progot},
        {"map", "new points through the map of an earlier run", map},
        {"query", "matches, samples, transitions, ... of a solved plan, without the plan", query},
        {"score", "how good is this map on points it never saw?", score},
        {"check", "is this input good?", check},
        {"info", "what is in this result?", info},
    };
    return table;
}

std::string help() {
    std::string text =
        "Convoy: entropic optimal transport between point clouds too large for one machine.\n\n"
        "Usage: convoy COMMAND [options]\n\nCommands:\n";
    for (const Command& command : commands()) {
        text += "  " + command.name + std::string(12 - command.name.size(), ' ') + command.summary + "\n";
    }
    text +=
        "\nOptions:\n"
        "  -h, --help           this page; convoy COMMAND --help tells more\n"
        "  --version            and with --verbose: how this program was built\n"
        "\nExamples:\n"
        "  convoy check cells.h5#/X\n"
        "  convoy solve before.npy after.npy -o run.h5\n"
        "  srun convoy solve before.h5#/X after.h5#/X --epsilon 0.01std -o run.h5\n"
        "  convoy divergence before.npy after.npy -o apart.h5\n"
        "  convoy map run.h5 new.npy -o images.h5\n"
        "  convoy query run.h5 --match --sample 1e6 -o answers.h5\n"
        "\nExit codes: 0 done and converged, 1 failed, 2 bad usage or input, 3 not converged (result written), 75 "
        "stopped early\n"
        "with a checkpoint.\n";
    return text;
}

int run(const Communicator& world, const std::vector<std::string>& words) {
    if (words.size() < 2) {
        if (world.is_root()) std::fputs(help().c_str(), stderr);
        return bad_input;
    }
    const std::string& first = words[1];
    const std::vector<std::string> rest{words.begin() + 2, words.end()};
    if (first == "--help" || first == "-h" || first == "help") {
        print(world, help());
        return done;
    }
    if (first == "--version") {
        const bool verbose = !rest.empty() && (rest[0] == "--verbose" || rest[0] == "-v");
        CONVOY_VALIDATE(rest.empty() || (verbose && rest.size() == 1), "--version takes nothing but --verbose");
        print(world, "convoy " + version() + "\n" + (verbose ? build_details() : ""));
        return done;
    }

    std::vector<std::string> names;
    for (const Command& command : commands()) {
        if (command.name == first) return command.run({world, rest, shell_quoted(words)});
        names.push_back(command.name);
    }
    throw InputError{"unknown command '" + first + "'." + suggestion(first, names) + " See: convoy --help"};
}

// Errors of these types are thrown on all ranks alike: the run ends in order, and one rank speaks.
int run_and_report(const Communicator& world, const std::vector<std::string>& words) {
    const auto report = [&](const std::exception& error) {
        if (world.is_root()) report_error(error.what());
    };
    try {
        return run(world, words);
    } catch (const Suspended& end) {
        if (world.is_root()) report_end(end.what());
        return suspended;
    } catch (const FatalFailure& error) {
        // A collective call on a broken file could hang: no finalize. The others leave rank 0 the time to speak.
        report(error);
        if (!world.is_root()) sleep(3);
        Session::abort(failed);
    } catch (const InputError& error) {
        report(error);
        return bad_input;
    } catch (const Failure& error) {
        report(error);
        return failed;
    }
}

// GNU's OpenMP lets threads that wait for others spin for milliseconds. On cores that are shared, with another job or
// with the rank's own waiting threads, that costs more than all that is computed: up to twice the time was measured. It
// reads its environment before main, so the program starts itself anew with another default. What the user has set
// stands, and where this fails, nothing is lost but time.
void wait_without_spinning(char** argv) {
    if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
    std::error_code none;
    const std::string program = std::filesystem::read_symlink("/proc/self/exe", none).string();
    if (none || setenv("GOMP_SPINCOUNT", "2000", 1) != 0) return;
    execv(program.c_str(), argv);
}

// Anything else concerns this rank alone. The others cannot know: only an abort ends them.
[[noreturn]] void leave_alone(const Communicator& world, const std::string& what) {
    const std::string where = world.size() > 1 ? "rank " + std::to_string(world.rank()) + ": " : "";
    report_error(where + what);
    Session::abort(failed);
}

}  // namespace

}  // namespace convoy::app

int main(int argc, char** argv) {
    using namespace convoy;
    app::wait_without_spinning(argv);
    app::ensure_standard_streams();
    // A reader of our output that has gone (`| head`) must not end a run of hours.
    std::signal(SIGPIPE, SIG_IGN);
    // Nor a limit of file sizes: the write that hits it says so.
    std::signal(SIGXFSZ, SIG_IGN);

    Session session{argc, argv};
    const Communicator world = Communicator::world();
    int code = app::failed;
    try {
        code = app::run_and_report(world, {argv, argv + argc});
    } catch (const std::bad_alloc&) {
        app::leave_alone(world, "not enough memory; use more ranks or nodes, or smaller inputs");
    } catch (const std::exception& error) {
        app::leave_alone(world, error.what());
    } catch (...) {
        app::leave_alone(world, "unknown exception");
    }
    return code;
}
