#pragma once
// One command's options: declared with CLI11, checked for spelling before it sees them, completed from --config.

#include <CLI/App.hpp>
#include <CLI/Config.hpp>  // CLI11 does not link without
#include <CLI/Formatter.hpp>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "app/command.hpp"

namespace convoy::app {

class CommandLine {
 public:
    // \param usage e.g. "solve SOURCE TARGET -o OUT [options]"; the command's name first
    CommandLine(const std::string& usage, const std::string& description, const std::string& examples);

    CLI::App& app() { return app_; }
    // Declares an option whose text goes to `take`, which checks it. \param value e.g. "N", "A|B"
    CLI::Option* option(const std::string& names, const std::string& value, const std::string& description,
                        const std::function<void(const std::string&)>& take);
    // As above, for text kept as it is.
    CLI::Option* text(const std::string& names, const std::string& value, const std::string& description,
                      std::string& keep);
    // As above, for an option that may be given again and again; in --config, several lines of that name.
    CLI::Option* texts(const std::string& names, const std::string& value, const std::string& description,
                       std::vector<std::string>& keep);
    CLI::Option* flag(const std::string& names, const std::string& description, bool& keep);
    CLI::Option* flag(const std::string& names, const std::string& description, const std::function<void()>& take);
    void positional(const std::string& name, const std::string& description, std::string& keep, bool required);

    // False if help was asked for, and printed. InputError on all ranks. Collective (--config is read by rank 0).
    bool parse(const Invocation& invocation);
    // Was it given, on the command line or in --config?
    bool given(const std::string& name) const { return given_.contains(name); }
    // What was given, by long names, in the order of the help page: values as they were given, flags have none;
    // repeated options have theirs a line each.
    std::vector<std::pair<std::string, std::string>> values() const;
    const std::string& name() const { return name_; }
    // The file of --config, empty if there is none.
    const std::string& config() const { return config_; }

 private:
    const CLI::Option* find(const std::string& name) const;
    std::vector<std::string> option_names() const;
    std::vector<std::string> normalise(const std::vector<std::string>& arguments);
    std::vector<std::string> from_config(const Communicator& world, const std::string& path);
    void take_positionals();
    std::string see_help() const { return " See: convoy " + name_ + " --help"; }

    std::string name_, usage_;
    CLI::App app_;
    struct Positional {
        std::string name;
        std::string* keep;
        bool required;
    };
    std::vector<Positional> positionals_;  // declared
    std::vector<std::string> words_;       // given
    std::set<std::string> given_;          // long names
    std::set<std::string> repeatable_;     // long names
    std::string config_;
    bool help_ = false;
};

// For a shell: quoted where it needs to be.
std::string shell_quoted(const std::vector<std::string>& arguments);

}  // namespace convoy::app
