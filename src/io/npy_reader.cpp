// NumPy's .npy: a short text header, then the numbers as they lie in memory.

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "io/array_reader.hpp"
#include "io/formats.hpp"
#include "io/input_error.hpp"
#include "io/npy_header.hpp"

namespace convoy::io {

std::unique_ptr<Reader> open_npy(const Location& location) {
    if (!location.key.empty())
        refuse(location, fmt::format("a .npy file holds one array and no '{}'", location.key), "",
               fmt::format("leave out '#{}'", location.key));
    ByteFile file{location};
    std::string head(static_cast<std::size_t>(std::min(file.size(), longest_npy_header)), '\0');
    file.read(0, head.data(), std::ssize(head));
    ArrayLayout layout = npy_layout(location, parse_npy_header(location, head), 0, file.size());
    return open_array(std::move(file), std::move(layout));
}

}  // namespace convoy::io
