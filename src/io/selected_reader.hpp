#pragma once
// Some rows of another reader's file, as if there were no others.

#include <memory>

#include "io/reader.hpp"
#include "io/row_selection.hpp"

namespace convoy::io {

// \param rows as many as the reader's file has, chosen or not
std::unique_ptr<Reader> selected(std::unique_ptr<Reader> reader, std::shared_ptr<const RowSelection> rows);

}  // namespace convoy::io
