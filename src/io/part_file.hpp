#pragma once
// The unfinished file beside its final place: OUT.part.XXXXXX. One rank handles it.

#include <cstdint>
#include <string>

namespace convoy::io {

// Creates OUT.part.XXXXXX (must not exist, mode by umask) and returns its name. Failures here and below are Failures
// that name OUT.
std::string create_part_file(const std::string& out);
// Takes `bytes` of disk for the file, so that nobody runs out of space later.
void reserve_part_file(const std::string& out, const std::string& part, std::int64_t bytes);
// What was written through this or another handle of this machine is on disk afterwards.
void sync_part_file(const std::string& out, const std::string& part);
// Gives the file its name. An existing OUT (itself, if it is a link) is replaced only if `overwrite`; otherwise the
// part file stays and the message names it.
void publish_part_file(const std::string& out, const std::string& part, bool overwrite);
void remove_part_file(const std::string& part) noexcept;

// "cannot write 'OUT': problem (why); remedy" as a Failure.
[[noreturn]] void fail_to_write(const std::string& out, const std::string& problem, const std::string& why,
                                const std::string& remedy);

}  // namespace convoy::io
