#pragma once
// What a person is told of an input whose rows, or whose matrix, were chosen.

#include <string>

#include "app/console.hpp"
#include "io/reader.hpp"

namespace convoy::app {

// "1,805 rows", or "461 of 1,805 rows where day=10 and type=a (12 have no value there)".
std::string chosen_rows(const io::InputIdentity& input);

// Says what was read, where that is not all of what was named.
void say_choice(Console& console, const std::string& name, const io::InputOptions& asked,
                const io::InputIdentity& found);

}  // namespace convoy::app
