#pragma once
// Some rows of another reader's matrix, as if there were no others.

#include <memory>

#include "io/reader.hpp"
#include "io/row_selection.hpp"

namespace convoy::io {

// \param rows as many as the reader's matrix has, chosen or not
std::unique_ptr<Reader> select_rows(std::unique_ptr<Reader> reader, std::shared_ptr<const RowSelection> rows);

}  // namespace convoy::io
