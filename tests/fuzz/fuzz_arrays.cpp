// Files of arrays and images, damaged in any way: NumPy's, safetensors, IDX, CIFAR-10, raw numbers and their keys, and
// the options that say what is wanted of them. The first byte says which format it is.

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "convoy/error.hpp"
#include "convoy/image.hpp"
#include "io/reader.hpp"
#include "io/selected_columns.hpp"

namespace {

using namespace convoy::io;

constexpr std::array<std::string_view, 8> endings{".npy",      ".npz", ".safetensors", "-ubyte",
                                                  "-ubyte.gz", ".bin", ".raw",         "keys"};
constexpr std::int64_t most_numbers = 100000;

// An InputError is an answer; anything else is not.
template <class Action>
void answered(Action&& action) {
    try {
        action();
    } catch (const convoy::InputError&) {
    } catch (const convoy::Failure&) {
    }
}

// Everything, or of large matrices their ends.
void read(Reader& reader) {
    if (reader.rows() == 0 || reader.columns() == 0 || reader.columns() > most_numbers) return;
    const std::int64_t rows = std::min(reader.rows(), most_numbers / reader.columns());
    std::vector<double> values(static_cast<std::size_t>(rows * reader.columns()));
    reader.read(0, rows, values);
    if (reader.sequential()) return;
    reader.read(reader.rows() - rows, rows, values);
    values.resize(static_cast<std::size_t>(rows));
    const convoy::GlobalRun run{convoy::GlobalIndex{reader.rows() - rows}, rows};
    reader.read_runs({&run, 1}, {reader.columns() - 1, 1}, values);
}

std::string file_of(std::string_view ending) {
    return "/dev/shm/convoy-fuzz-" + std::to_string(::getpid()) + std::string{ending};
}

void write(const std::string& path, std::string_view bytes) {
    const int file = ::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
    if (::write(file, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) std::abort();
    ::close(file);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const bool cleaning = std::atexit([] {
                                     for (const std::string_view ending : endings) ::unlink(file_of(ending).c_str());
                                 }) == 0;
    if (!cleaning || size < 2) return 0;
    const std::string_view ending = endings[data[0] % endings.size()];
    std::string_view bytes{reinterpret_cast<const char*>(data) + 1, size - 1};

    if (ending == "keys") {
        const std::string text{bytes};
        answered([&] { parse_columns(text); });
        answered([&] { parse_scaling(text); });
        answered([&] { convoy::ImageShape::parse(text); });
        return 0;
    }
    std::string key;  // up to the first newline, for formats that have one
    if (ending == ".raw" || ending == ".bin" || ending == ".npz" || ending == ".safetensors") {
        const std::size_t end = std::min(bytes.find('\n'), bytes.size() - 1);
        key = bytes.substr(0, end);
        bytes.remove_prefix(end + 1);
    }
    const std::string path = file_of(ending);
    write(path, bytes);
    const Location location{path, key};
    answered([&] { read(*open_reader(location)); });
    answered([&] { read(*select_columns(location, open_reader(location), true, "")); });
    answered([&] { read(*select_columns(location, open_reader(location), false, "1:,0")); });
    return 0;
}
