#pragma once
// Numbers as people write and read them: times, sizes, counts, rates. Text that is not one is an InputError that begins
// with `what` (an option's name).

#include <cstdint>
#include <string>

namespace convoy::app {

double parse_number(const std::string& what, const std::string& text);
// A whole number of at least `least`; 1e6 is one.
std::int64_t parse_count(const std::string& what, const std::string& text, std::int64_t least);
std::uint64_t parse_seed(const std::string& what, const std::string& text);
// Seconds of `3600`, `90m`, `2h`, `1d12h`, `1h30m`, positive.
double parse_duration(const std::string& what, const std::string& text);
// Bytes of `16G`, `500M`, `1.5T`, `1000000`; powers of 1024.
double parse_bytes(const std::string& what, const std::string& text);
bool parse_switch(const std::string& what, const std::string& text);  // on or off

std::string duration_text(double seconds);   // 0.12 s, 34 s, 5 min 10 s, 2 h 3 min
std::string bytes_text(double bytes);        // 412 MB (powers of 1024, three digits)
std::string count_text(std::int64_t count);  // 1,000,000
std::string plural(std::int64_t count, const std::string& one, const std::string& many);  // 1 rank, 4 ranks

}  // namespace convoy::app
