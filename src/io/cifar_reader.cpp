// CIFAR-10 (Krizhevsky 2009) in its binary form: records of a label and 32 x 32 bytes each of red, green and blue,
// without a header. That the length is whole records is what tells such a file; that labels are below 10 is checked,
// too.

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "io/array_reader.hpp"
#include "io/formats.hpp"
#include "io/input_error.hpp"
#include "io/raw_header.hpp"

namespace convoy::io {

namespace {

constexpr ImageShape images{32, 32, 3, true};
constexpr std::int64_t record = 1 + 3 * 32 * 32;
constexpr std::int64_t looked_at = 64;  // records whose labels are checked, spread over the file

void expect_labels(const ByteFile& file, std::int64_t records) {
    for (std::int64_t k = 0; k < std::min(looked_at, records); ++k) {
        const std::int64_t at = records <= looked_at ? k : k * (records / looked_at);
        char label = 0;
        file.read(at * record, &label, 1);
        const int value = static_cast<unsigned char>(label);
        if (value > 9)
            refuse(file.location(), fmt::format("record {} has the label {}", at, value),
                   "CIFAR-10 has 0 to 9: it is another file whose length happens to fit",
                   fmt::format("say what its numbers are, like: {}#{}", file.location().path, raw_example));
    }
}

}  // namespace

std::unique_ptr<Reader> open_cifar(const Location& location) {
    const bool labels = location.key == "labels";
    if (!labels && !location.key.empty() && location.key != "images")
        refuse(location, fmt::format("it has no '{}'", location.key), "CIFAR-10 has images and labels",
               fmt::format("name one, or say what its numbers are, like: {}#{}", location.path, raw_example));
    ByteFile file{location};
    if (file.size() % record != 0)
        refuse(location, "it is not CIFAR-10 in binary",
               fmt::format("{} bytes are no multiple of {}, a label and 3 x 32 x 32 pixels", file.size(), record),
               fmt::format("copy it again, or say what its numbers are, like: {}#{}", location.path, raw_example));
    const std::int64_t records = file.size() / record;
    expect_labels(file, records);
    ArrayLayout layout;
    layout.type = {'u', 1, false};
    layout.shape = labels ? ArrayShape{records, 1, true, {}} : ArrayShape{records, record - 1, false, images};
    layout.at = labels ? 0 : 1;
    layout.row_stride = record;
    layout.place = labels ? "labels" : "images";
    return open_array(std::move(file), std::move(layout));
}

}  // namespace convoy::io
