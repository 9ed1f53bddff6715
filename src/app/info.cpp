// convoy info FILE: what is in this result?

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>

#include "app/command.hpp"
#include "app/command_line.hpp"
#include "app/console.hpp"
#include "app/exit_codes.hpp"
#include "app/standard_output.hpp"
#include "convoy/error.hpp"
#include "io/result.hpp"

namespace convoy::app {

namespace {

// An attribute of several lines, such as the conditions that chose an input's rows, on one.
std::string on_one_line(std::string text) {
    for (auto at = text.find('\n'); at != std::string::npos; at = text.find('\n', at)) text.replace(at, 1, " and ");
    return text;
}

// "/solution/epsilon" -> "/solution", "epsilon"; the root's own are in "".
std::pair<std::string, std::string> split(const std::string& path) {
    const auto slash = path.rfind('/');
    if (slash == std::string::npos) return {"", path};
    return {path.substr(0, slash), path.substr(slash + 1)};
}

std::string row(const std::string& name, const std::string& value) {
    return fmt::format("  {:<25} {}\n", printable(name), value.empty() ? "(none)" : printable(value));
}

std::string readable(const std::string& path, const io::Description& description) {
    std::string text = printable(path) + (description.complete ? "\n" : "   (INCOMPLETE: its writer did not finish)\n");
    std::string group;
    for (const auto& [name, value] : description.attributes) {
        const auto [parent, leaf] = split(name);
        if (parent != group) text += "\n" + printable(parent.substr(1)) + "\n";
        group = parent;
        text += row(leaf, on_one_line(value));
    }
    text += "\ndatasets\n";
    for (const auto& [name, shape] : description.datasets) text += row(name, shape);
    return text;
}

std::string machine_readable(const io::Description& description) {
    nlohmann::ordered_json object = {{"complete", description.complete}};
    object["attributes"] = nlohmann::ordered_json::object();
    for (const auto& [name, value] : description.attributes) object["attributes"][name] = value;
    object["datasets"] = nlohmann::ordered_json::object();
    for (const auto& [name, shape] : description.datasets) object["datasets"][name] = shape;
    return object.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace

int info(const Invocation& invocation) {
    CommandLine line{"info FILE [--json]",
                     "Tells what is in a result: status, values, inputs, and the plan of its run.\n",
                     "Examples:\n  convoy info run.h5\n  convoy info run.h5 --json\n"
                     "  convoy info run.h5 --json | jq '.attributes[\"/solution/dual_value\"]'\n"};
    std::string path;
    bool json = false;
    line.positional("FILE", "a result of convoy", path, true);
    line.flag("--json", "for programs: {complete, attributes, datasets} by their paths in the file", json);
    if (!line.parse(invocation)) return done;

    const Communicator& world = invocation.world;
    io::Description description;
    std::string text;
    agree(world, [&] {
        if (!world.is_root()) return;
        description = io::describe(path);
        text = json ? machine_readable(description) : readable(path, description);
    });
    print(world, text);
    agree(world, [&] {
        if (world.is_root() && !description.complete)
            throw Failure{fmt::format("'{}' is incomplete (its writer did not finish); run again", path)};
    });
    return done;
}

}  // namespace convoy::app
