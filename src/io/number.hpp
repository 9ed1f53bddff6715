#pragma once
// Numbers in text.

#include <optional>
#include <string_view>

namespace convoy::io {

// The number that the whole of `text` says, blanks around it aside; nan and inf count. Nothing if it is not a number.
std::optional<double> parse_number(std::string_view text);

}  // namespace convoy::io
