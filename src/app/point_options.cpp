#include "app/point_options.hpp"

#include <fmt/format.h>

#include <array>
#include <functional>

#include "app/quantities.hpp"
#include "convoy/error.hpp"
#include "convoy/image.hpp"
#include "io/selected_columns.hpp"

namespace convoy::app {

namespace {

constexpr double largest_blur = 1e6;

struct PointOption {
    const char* name;
    const char* value;  // nullptr: a flag
    const char* description;
    void (*take)(io::InputOptions& input, const std::string& option, const std::string& text);
};

// In the order in which they are done.
constexpr std::array options{
    PointOption{
        "transpose", nullptr, "the file's columns are the points (arrays and HDF5; not text)",
        [](io::InputOptions& input, const std::string&, const std::string&) { input.prepare.transposed = true; }},
    PointOption{"columns", "COLUMNS",
                "these alone, counted from 0 and without a range's end as in NumPy: 6:17 are columns 6 to 16; also "
                "0,2,5:9",
                [](io::InputOptions& input, const std::string& option, const std::string& text) {
                    try {
                        io::parse_columns(text);
                    } catch (const InputError& error) {
                        throw InputError{fmt::format("{}: {}", option, error.what())};
                    }
                    input.prepare.columns = text;
                }},
    PointOption{
        "grayscale", nullptr, "images in red, green and blue become luma: 0.299 R + 0.587 G + 0.114 B",
        [](io::InputOptions& input, const std::string&, const std::string&) { input.prepare.grayscale = true; }},
    PointOption{"scale", "FACTOR[+-OFFSET]",
                "numbers are multiplied with FACTOR, then OFFSET is added: 1/255, 1/127.5-1 (default 1)",
                [](io::InputOptions& input, const std::string&, const std::string& text) {
                    io::parse_scaling(text);
                    input.scaling = text;
                }},
    PointOption{"blur", "SIGMA", "images are blurred by a Gaussian of SIGMA pixels, 0 beyond their edges",
                [](io::InputOptions& input, const std::string& option, const std::string& text) {
                    input.prepare.blur = parse_number(option, text);
                    CONVOY_VALIDATE(input.prepare.blur > 0 && input.prepare.blur <= largest_blur,
                                    fmt::format("{}: {} is not between 0 and {:g} pixels", option, text, largest_blur));
                }},
    PointOption{"image", "SHAPE",
                "for --grayscale and --blur, where the format does not say what a row is: 28x28, 32x32x3 or, channel "
                "after channel, 3x32x32",
                [](io::InputOptions& input, const std::string& option, const std::string& text) {
                    try {
                        ImageShape::parse(text);
                    } catch (const InputError& error) {
                        throw InputError{fmt::format("{}: {}", option, error.what())};
                    }
                    input.prepare.image = text;
                }},
};

void declare(CommandLine& line, const PointOption& option, const std::string& name, const std::string& group,
             const std::vector<io::InputOptions*>& inputs) {
    const auto take = [&option, name, inputs](const std::string& text) {
        for (io::InputOptions* input : inputs) option.take(*input, name, text);
    };
    if (option.value == nullptr)
        line.flag(name, option.description, [take] { take(""); })->group(group);
    else
        line.option(name, option.value, option.description, take)->group(group);
}

std::string prefix_of(const NamedInput& input) {
    return input.name.empty() ? "--" : fmt::format("--{}-", input.name);
}

}  // namespace

void declare_preparation(CommandLine& line, const std::vector<NamedInput>& inputs) {
    const bool alone = inputs.size() == 1;
    std::string group = "Points";
    if (!alone) group += fmt::format(" (of one side alone: --{}-..., --{}-...)", inputs[0].name, inputs[1].name);
    std::vector<io::InputOptions*> all;
    for (const NamedInput& one : inputs) all.push_back(one.input);
    for (const PointOption& option : options) {
        declare(line, option, fmt::format("--{}", option.name), group, all);
        if (alone) continue;
        for (const NamedInput& one : inputs) declare(line, option, prefix_of(one) + option.name, "", {one.input});
    }
}

void check_preparation(const CommandLine& line, const std::vector<NamedInput>& inputs) {
    for (const PointOption& option : options) {
        const std::string both = fmt::format("--{}", option.name);
        for (const NamedInput& one : inputs) {
            const std::string own = prefix_of(one) + option.name;
            CONVOY_VALIDATE(own == both || !line.given(both) || !line.given(own),
                            fmt::format("{} and {} both concern the {}; leave one of them out", both, own, one.name));
        }
    }
    for (const NamedInput& one : inputs) {
        const io::Preparation& prepare = one.input->prepare;
        CONVOY_VALIDATE(
            prepare.image.empty() || prepare.grayscale || prepare.blur > 0 ||
                (line.given("--image") && inputs.size() > 1),
            fmt::format("{0}image has no effect without {0}grayscale or {0}blur; leave it out", prefix_of(one)));
    }
    bool used = false;
    for (const NamedInput& one : inputs) used = used || one.input->prepare.grayscale || one.input->prepare.blur > 0;
    CONVOY_VALIDATE(used || !line.given("--image"),
                    "--image has no effect without --grayscale or --blur; leave it out");
}

std::vector<std::string> options_of_input(const std::string& name) {
    std::vector<std::string> names{fmt::format("--{}-weights", name), fmt::format("--{}-where", name)};
    for (const PointOption& option : options) names.push_back(fmt::format("--{}-{}", name, option.name));
    return names;
}

}  // namespace convoy::app
