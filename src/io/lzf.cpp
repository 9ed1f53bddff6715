// A stream of two things, told apart by a first byte c:
//
//     c < 32       c + 1 literal bytes follow
//     c >= 32      length - 2 = c >> 5 (if that is 7, plus the next byte); distance - 1 = (c & 31) << 8 plus the next
//                  byte: copy so many bytes from so far back, perhaps from what the copy itself has just written

#include "io/lzf.hpp"

#include <cstdint>
#include <cstring>

namespace convoy::io {

bool decode_lzf(std::span<const std::byte> in, std::span<std::byte> out) {
    std::size_t from = 0, at = 0;
    while (from < in.size()) {
        const auto control = static_cast<std::size_t>(in[from++]);
        if (control < 32) {
            const std::size_t count = control + 1;
            if (count > in.size() - from || count > out.size() - at) return false;
            std::memcpy(out.data() + at, in.data() + from, count);
            from += count;
            at += count;
            continue;
        }
        std::size_t count = (control >> 5) + 2;
        if (control >> 5 == 7) {
            if (from == in.size()) return false;
            count += static_cast<std::size_t>(in[from++]);
        }
        if (from == in.size()) return false;
        const std::size_t distance = ((control & 31) << 8) + static_cast<std::size_t>(in[from++]) + 1;
        if (distance > at || count > out.size() - at) return false;
        for (std::size_t k = 0; k < count; ++k, ++at) out[at] = out[at - distance];
    }
    return at == out.size();
}

std::size_t length_of_lzf(std::span<const std::byte> in) {
    std::size_t length = 0;
    for (std::size_t from = 0; from < in.size();) {
        const auto control = static_cast<std::size_t>(in[from]);
        const bool is_long = control >> 5 == 7;
        const std::size_t step = control < 32 ? control + 2 : is_long ? 3 : 2;
        if (step > in.size() - from) return 0;
        length += control < 32 ? control + 1 : (control >> 5) + 2;
        if (is_long) length += static_cast<std::size_t>(in[from + 1]);
        from += step;
    }
    return length;
}

}  // namespace convoy::io
