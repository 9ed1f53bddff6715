#include "io/hdf5_chunks.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "io/lzf.hpp"

namespace convoy::io {

namespace {

constexpr std::size_t checksum_bytes = 4;

// Fills `out` exactly, and the stream ends there.
bool inflate_all(std::span<const std::byte> in, std::span<std::byte> out) {
    z_stream stream{};
    if (inflateInit(&stream) != Z_OK) return false;
    // zlib counts in unsigned int: pieces. A last byte of room for streams that are too long.
    constexpr std::size_t most = std::size_t{1} << 30;
    std::size_t from = 0, at = 0;
    std::byte beyond{};
    int status = Z_OK;
    while (status == Z_OK) {
        const std::size_t given = std::min(most, in.size() - from);
        const std::size_t room = std::min(most, out.size() - at);
        stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(in.data() + from));
        stream.avail_in = static_cast<uInt>(given);
        stream.next_out = reinterpret_cast<Bytef*>(room > 0 ? out.data() + at : &beyond);
        stream.avail_out = room > 0 ? static_cast<uInt>(room) : 1;
        status = inflate(&stream, Z_NO_FLUSH);
        from += given - stream.avail_in;
        if (room == 0 && stream.avail_out == 0) status = Z_DATA_ERROR;
        if (room > 0) at += room - stream.avail_out;
    }
    inflateEnd(&stream);
    return status == Z_STREAM_END && at == out.size();
}

// First bytes of all elements, then second bytes, and so on; a rest that is no whole element follows as it is.
void unshuffle(std::span<const std::byte> in, std::span<std::byte> out, std::size_t element) {
    const std::size_t elements = in.size() / element;
    for (std::size_t b = 0; b < element; ++b) {
        const std::byte* from = in.data() + b * elements;
        std::byte* to = out.data() + b;
        for (std::size_t k = 0; k < elements; ++k, to += element) *to = from[k];
    }
    std::copy(in.begin() + static_cast<std::ptrdiff_t>(elements * element), in.end(),
              out.begin() + static_cast<std::ptrdiff_t>(elements * element));
}

// Fletcher's sum over big-endian words of 16 bits, as HDF5 has it: a byte that is left over is a high one.
std::uint32_t fletcher32(std::span<const std::byte> bytes) {
    std::uint32_t a = 0, b = 0;
    const auto fold = [](std::uint32_t sum) { return (sum & 0xffff) + (sum >> 16); };
    std::size_t at = 0;
    for (std::size_t words = bytes.size() / 2; words > 0;) {
        const std::size_t block = std::min<std::size_t>(words, 360);  // sums stay below 2^32
        for (std::size_t k = 0; k < block; ++k, at += 2) {
            a += static_cast<std::uint32_t>(bytes[at]) << 8 | static_cast<std::uint32_t>(bytes[at + 1]);
            b += a;
        }
        a = fold(a);
        b = fold(b);
        words -= block;
    }
    if (at < bytes.size()) {
        a += static_cast<std::uint32_t>(bytes[at]) << 8;
        b += a;
        a = fold(a);
        b = fold(b);
    }
    return fold(b) << 16 | fold(a);
}

bool checksum_agrees(std::span<const std::byte> bytes) {
    const auto data = bytes.first(bytes.size() - checksum_bytes);
    std::array<std::uint8_t, checksum_bytes> stored{};
    std::memcpy(stored.data(), bytes.data() + data.size(), checksum_bytes);
    const std::uint32_t found = stored[0] | stored[1] << 8 | stored[2] << 16 | std::uint32_t{stored[3]} << 24;
    // HDF5 up to 1.6.2 swapped the bytes of each half on some machines; it still takes such chunks.
    const std::uint32_t swapped = (found & 0x00ff00ff) << 8 | (found >> 8 & 0x00ff00ff);
    const std::uint32_t sum = fletcher32(data);
    return sum == found || sum == swapped;
}

}  // namespace

std::optional<ChunkDecoder> ChunkDecoder::of(hid_t creation) {
    ChunkDecoder decoder;
    int compressors = 0;
    const int filters = H5Pget_nfilters(creation);
    if (filters < 0) return std::nullopt;
    for (unsigned i = 0; i < static_cast<unsigned>(filters); ++i) {
        unsigned flags = 0, config = 0;
        std::array<unsigned, 8> values{};
        std::size_t count = values.size();
        switch (H5Pget_filter2(creation, i, &flags, &count, values.data(), 0, nullptr, &config)) {
            case H5Z_FILTER_DEFLATE:
                decoder.steps_.push_back({Kind::deflate});
                ++compressors;
                break;
            case 32000:
                decoder.steps_.push_back({Kind::lzf});
                ++compressors;
                break;
            case H5Z_FILTER_SHUFFLE:
                // HDF5 tells it no size for text of variable length, and then writes chunks without it.
                decoder.steps_.push_back({Kind::shuffle, count == 1 ? values[0] : 0});
                break;
            case H5Z_FILTER_FLETCHER32:
                decoder.steps_.push_back({Kind::fletcher32});
                break;
            default:
                return std::nullopt;
        }
    }
    // Behind two compressors nobody knows how long the bytes between them have to be.
    if (compressors > 1) return std::nullopt;
    return decoder;
}

std::string ChunkDecoder::decode(std::vector<std::byte>& stored, std::uint32_t skipped,
                                 std::span<std::byte> chunk) const {
    const auto used = [&](std::size_t i) { return i >= 32 || (skipped >> i & 1) == 0; };
    // How long the bytes are before each step was written; after a compressor that is anybody's guess.
    std::vector<std::size_t> before;
    std::size_t bytes = chunk.size();
    for (std::size_t i = 0; i < steps_.size(); ++i) {
        before.push_back(bytes);
        if (used(i) && steps_[i].kind == Kind::fletcher32) bytes += checksum_bytes;
    }

    const auto wrong_length = [&] { return fmt::format("it has {} bytes instead of {}", stored.size(), chunk.size()); };
    std::size_t last = 0;  // decoded: straight into the chunk
    while (last < steps_.size() && !used(last)) ++last;
    for (std::size_t i = steps_.size(); i-- > last;) {
        if (!used(i)) continue;
        const Step& step = steps_[i];
        if (step.kind == Kind::fletcher32) {
            if (stored.size() < checksum_bytes || !checksum_agrees(stored)) return "its checksum is wrong";
            stored.resize(stored.size() - checksum_bytes);
            continue;
        }
        if (step.kind == Kind::shuffle && step.element == 0) return "it was shuffled, and nothing says how";
        const std::size_t length = step.kind == Kind::shuffle ? stored.size() : before[i];
        // No gzip stream grows more than 1032 times, no LZF stream more: a small file has no huge chunk.
        if (length / 1040 > stored.size()) return "it is too short for what it should hold";
        if (i == last && length != chunk.size()) return wrong_length();
        std::vector<std::byte> decoded(i == last ? 0 : length);
        const std::span<std::byte> out = i == last ? chunk : std::span{decoded};
        if (step.kind == Kind::deflate && !inflate_all(stored, out)) return "its gzip stream is damaged";
        if (step.kind == Kind::lzf && !decode_lzf(stored, out)) return "its LZF stream is damaged";
        if (step.kind == Kind::shuffle) unshuffle(stored, out, step.element);
        if (i == last) return {};
        stored.swap(decoded);
    }
    if (stored.size() != chunk.size()) return wrong_length();
    std::ranges::copy(stored, chunk.begin());
    return {};
}

}  // namespace convoy::io
