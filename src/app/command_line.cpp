#include "app/command_line.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <sstream>

#include "app/config_file.hpp"
#include "app/spelling.hpp"
#include "app/standard_output.hpp"
#include "convoy/error.hpp"

namespace convoy::app {

namespace {

// Help in two columns, wrapped at 100 characters: CLI11's own does not wrap.
class HelpPage : public CLI::Formatter {
 public:
    explicit HelpPage(std::string usage) : usage_{std::move(usage)} {}

    std::string make_usage(const CLI::App*, std::string) const override { return "Usage: convoy " + usage_ + "\n"; }
    std::string make_option(const CLI::Option* option, bool is_positional) const override {
        constexpr std::size_t column = 34, width = 100;
        std::string out = "  " + make_option_name(option, is_positional) + make_option_opts(option);
        out.append(out.size() + 2 <= column ? column - out.size() : 0, ' ');
        if (out.size() > column) out += "\n" + std::string(column, ' ');
        std::size_t line = column;
        std::istringstream words{option->get_description()};
        for (std::string word; words >> word;) {
            if (line > column && line + 1 + word.size() > width) {
                out += "\n" + std::string(column, ' ');
                line = column;
            }
            if (line > column) out += ' ';
            out += word;
            line += word.size() + 1;
        }
        return out + "\n";
    }

 private:
    std::string usage_;
};

bool takes_value(const CLI::Option& option) {
    return option.get_expected_max() > 0;
}

std::string long_name(const CLI::Option& option) {
    return option.get_lnames().empty() ? option.get_name() : "--" + option.get_lnames().front();
}

}  // namespace

CommandLine::CommandLine(const std::string& usage, const std::string& description, const std::string& examples)
    : name_{usage.substr(0, usage.find(' '))}, usage_{usage}, app_{description, "convoy " + name_} {
    app_.formatter(std::make_shared<HelpPage>(usage));
    app_.footer(examples);
    app_.set_help_flag();
    app_.allow_extras();
    app_.add_flag("-h,--help", help_, "this page")->group("General");
    text("--config", "FILE.toml", "options from a file: name = \"value\", the names as here; the command line wins",
         config_)
        ->group("General");
}

CLI::Option* CommandLine::option(const std::string& names, const std::string& value, const std::string& description,
                                 const std::function<void(const std::string&)>& take) {
    return app_.add_option_function<std::string>(names, take, description)->option_text(value);
}

CLI::Option* CommandLine::text(const std::string& names, const std::string& value, const std::string& description,
                               std::string& keep) {
    return app_.add_option(names, keep, description)->option_text(value);
}

CLI::Option* CommandLine::texts(const std::string& names, const std::string& value, const std::string& description,
                                std::vector<std::string>& keep) {
    repeatable_.insert(names);
    return app_
        .add_option_function<std::vector<std::string>>(
            names, [&keep](const std::vector<std::string>& given) { keep = given; }, description)
        ->option_text(value)
        ->expected(1)
        ->allow_extra_args(false)
        ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

CLI::Option* CommandLine::flag(const std::string& names, const std::string& description, bool& keep) {
    return app_.add_flag(names, keep, description);
}

CLI::Option* CommandLine::flag(const std::string& names, const std::string& description,
                               const std::function<void()>& take) {
    return app_.add_flag_callback(names, take, description);
}

void CommandLine::positional(const std::string& name, const std::string& description, std::string& keep,
                             bool required) {
    app_.add_option(name, keep, description)->option_text(" ");  // for the help page; its value comes from normalise
    positionals_.push_back({name, &keep, required});
}

const CLI::Option* CommandLine::find(const std::string& name) const {
    for (const CLI::Option* option : app_.get_options()) {
        if (!option->get_positional() && option->check_name(name)) return option;
    }
    return nullptr;
}

std::vector<std::string> CommandLine::option_names() const {
    std::vector<std::string> names;
    for (const CLI::Option* option : app_.get_options()) {
        for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
    }
    return names;
}

// Every option as one word, --name or --name=value; unknown, repeated and valueless ones are refused here, so that the
// message can say more than CLI11's. Positional words are kept: CLI11 would take -x.npy after -- for options.
std::vector<std::string> CommandLine::normalise(const std::vector<std::string>& arguments) {
    std::vector<std::string> result;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        const std::string& word = arguments[i];
        if (word == "--") {
            words_.insert(words_.end(), arguments.begin() + static_cast<std::ptrdiff_t>(i) + 1, arguments.end());
            break;
        }
        if (word.size() < 2 || word[0] != '-') {
            words_.push_back(word);
            continue;
        }
        const bool is_long = word[1] == '-';
        const std::string name = is_long ? word.substr(0, word.find('=')) : word.substr(0, 2);
        const CLI::Option* option = find(name);
        CONVOY_VALIDATE(option != nullptr,
                        fmt::format("unknown option '{}'.{}{}", name, suggestion(name, option_names()), see_help()));
        const std::string full = long_name(*option);
        CONVOY_VALIDATE(given_.insert(full).second || repeatable_.contains(full),
                        fmt::format("option {} is given twice; give it once", full));

        const bool attached = word.size() > name.size();
        if (!takes_value(*option)) {
            CONVOY_VALIDATE(!attached, fmt::format("option {} takes no value ('{}')", full, word));
            result.push_back(full);
            continue;
        }
        // `-o -q` has forgotten the name; a file of that name can be given as -o=-q.
        const bool follows = !attached && i + 1 < arguments.size() && arguments[i + 1].rfind("--", 0) != 0 &&
                             find(arguments[i + 1]) == nullptr;
        CONVOY_VALIDATE(attached || follows, fmt::format("option {} needs a value.{}", full, see_help()));
        const std::string value =
            follows ? arguments[++i] : word.substr(name.size() + (is_long || word[2] == '=' ? 1 : 0));
        CONVOY_VALIDATE(!value.empty(), fmt::format("option {} needs a value.{}", full, see_help()));
        result.push_back(full + "=" + value);
    }
    return result;
}

std::vector<std::string> CommandLine::from_config(const Communicator& world, const std::string& path) {
    std::string text;
    agree(world, [&] {
        if (world.is_root()) text = read_config(path);
    });
    world.broadcast(text);

    std::vector<std::string> result;
    std::set<std::string> in_file;
    const std::set<std::string> on_the_line = given_;
    for (const ConfigEntry& entry : parse_config(path, text)) {
        // One file may serve several commands: [solve], [check]. Sections of others are theirs.
        if (!entry.section.empty() && entry.section != name_) continue;
        const std::string name = "--" + entry.name;
        const std::string place = fmt::format("'{}', line {}", path, entry.line);
        CONVOY_VALIDATE(name != "--config" && name != "--help",
                        fmt::format("{}: '{}' belongs on the command line; remove it", place, entry.name));
        const CLI::Option* option = find(name);
        CONVOY_VALIDATE(option != nullptr, fmt::format("{}: unknown option '{}'.{}{}", place, entry.name,
                                                       suggestion(name, option_names()), see_help()));
        CONVOY_VALIDATE(in_file.insert(name).second || repeatable_.contains(name),
                        fmt::format("{}: '{}' is given twice; give it once", place, entry.name));
        const bool on = entry.value == "true";
        CONVOY_VALIDATE(takes_value(*option) || on || entry.value == "false",
                        fmt::format("{}: '{}' is neither true nor false", place, entry.name));
        if (on_the_line.contains(name)) continue;  // it wins
        if (takes_value(*option)) {
            result.push_back(name + "=" + entry.value);
        } else if (on) {
            result.push_back(name);
        } else {
            continue;
        }
        given_.insert(name);
    }
    return result;
}

void CommandLine::take_positionals() {
    for (std::size_t i = 0; i < positionals_.size(); ++i) {
        const Positional& one = positionals_[i];
        CONVOY_VALIDATE(i < words_.size() || !one.required,
                        fmt::format("no {} is given. Usage: convoy {}", one.name, usage_));
        if (i < words_.size()) *one.keep = words_[i];
    }
    CONVOY_VALIDATE(words_.size() <= positionals_.size(),
                    fmt::format("unexpected argument '{}'. Usage: convoy {}", words_[positionals_.size()], usage_));
}

bool CommandLine::parse(const Invocation& invocation) {
    std::vector<std::string> options = normalise(invocation.arguments);
    if (given_.contains("--help")) {
        print(invocation.world, app_.help());
        return false;
    }
    const std::string config_mark = "--config=";
    for (const std::string& word : std::vector<std::string>{options}) {
        if (word.rfind(config_mark, 0) != 0) continue;
        config_ = word.substr(config_mark.size());
        const auto more = from_config(invocation.world, config_);
        options.insert(options.begin(), more.begin(), more.end());
    }

    try {
        app_.parse(std::vector<std::string>{options.rbegin(), options.rend()});  // CLI11 wants them reversed
    } catch (const CLI::Error& error) {
        throw InputError{fmt::format("{}.{}", error.what(), see_help())};
    }
    take_positionals();
    return true;
}

std::vector<std::pair<std::string, std::string>> CommandLine::values() const {
    std::vector<std::pair<std::string, std::string>> all;
    for (const CLI::Option* option : app_.get_options()) {
        if (option->get_positional() || !given_.contains(long_name(*option))) continue;
        all.emplace_back(long_name(*option),
                         takes_value(*option) ? fmt::format("{}", fmt::join(option->results(), "\n")) : "");
    }
    return all;
}

std::string shell_quoted(const std::vector<std::string>& arguments) {
    constexpr const char* safe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./@%^";
    std::string line;
    for (const std::string& argument : arguments) {
        if (!line.empty()) line += ' ';
        if (!argument.empty() && argument.find_first_not_of(safe) == std::string::npos) {
            line += argument;
            continue;
        }
        line += '\'';
        for (const char c : argument) line += c == '\'' ? std::string{"'\\''"} : std::string(1, c);
        line += '\'';
    }
    return line;
}

}  // namespace convoy::app
