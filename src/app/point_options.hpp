#pragma once
// How points are prepared when they are read: the options of each input.

#include <string>
#include <vector>

#include "app/command_line.hpp"
#include "io/reader.hpp"

namespace convoy::app {

struct NamedInput {
    std::string name;  // source, target; empty: the only one
    io::InputOptions* input;
};

// --scale and its like for all of the inputs, and --source-scale for one alone (not on the help page, which says so).
void declare_preparation(CommandLine& line, const std::vector<NamedInput>& inputs);
// \throws InputError where an option is given for all and for one, or would have no effect
void check_preparation(const CommandLine& line, const std::vector<NamedInput>& inputs);
// "--target-weights", "--target-scale", ...
std::vector<std::string> options_of_input(const std::string& name);

}  // namespace convoy::app
