#pragma once
// Pieces that the closing reports of all commands are made of.

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "app/phases.hpp"
#include "io/result.hpp"

namespace convoy::app {

// One line: a name, and what is said of it.
std::string summary_row(const std::string& name, const std::string& value);
std::string timing_table(const std::vector<io::PhaseTiming>& timing);
std::string memory_row(const Memory& memory);  // empty where the system does not say
std::string warning_lines(const std::vector<std::string>& warnings);

nlohmann::ordered_json to_json(const io::Attributes& attributes);
nlohmann::ordered_json to_json(const io::InputIdentity& input);
nlohmann::ordered_json to_json(const std::vector<io::PhaseTiming>& timing);
// Indented text; bytes that are no UTF-8 are replaced.
std::string json_text(const nlohmann::ordered_json& object);

}  // namespace convoy::app
