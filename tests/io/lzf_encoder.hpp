#pragma once
// An LZF compressor for tests: greedy, slow on long inputs without matches, and right.

#include <algorithm>
#include <cstddef>
#include <map>
#include <span>
#include <vector>

namespace convoy::io {

inline std::vector<std::byte> encode_lzf(std::span<const std::byte> in) {
    std::vector<std::byte> out;
    std::vector<std::byte> literals;
    const auto flush = [&] {
        for (std::size_t at = 0; at < literals.size(); at += 32) {
            const std::size_t count = std::min<std::size_t>(32, literals.size() - at);
            out.push_back(static_cast<std::byte>(count - 1));
            out.insert(out.end(), literals.begin() + static_cast<std::ptrdiff_t>(at),
                       literals.begin() + static_cast<std::ptrdiff_t>(at + count));
        }
        literals.clear();
    };
    std::map<unsigned, std::size_t> seen;  // where three bytes stood last
    for (std::size_t at = 0; at < in.size();) {
        std::size_t length = 0, distance = 0;
        if (at + 3 <= in.size()) {
            const unsigned key = static_cast<unsigned>(in[at]) << 16 | static_cast<unsigned>(in[at + 1]) << 8 |
                                 static_cast<unsigned>(in[at + 2]);
            const auto found = seen.find(key);
            if (found != seen.end() && at - found->second <= 8192) {
                distance = at - found->second;
                while (length < 264 && at + length < in.size() && in[at + length] == in[at + length - distance])
                    ++length;
            }
            seen[key] = at;
        }
        if (length < 3) {
            literals.push_back(in[at++]);
            continue;
        }
        flush();
        const std::size_t code = length - 2, back = distance - 1;
        out.push_back(static_cast<std::byte>(std::min<std::size_t>(code, 7) << 5 | back >> 8));
        if (code >= 7) out.push_back(static_cast<std::byte>(code - 7));
        out.push_back(static_cast<std::byte>(back & 255));
        at += length;
    }
    flush();
    return out;
}

}  // namespace convoy::io
