// Whole .h5ad files, damaged in any way: everything that is read of one, on one rank. HDF5 itself is under test here,
// too: see CMakeLists.txt for how to go on after what it does not survive.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "convoy/error.hpp"
#include "io/h5ad.hpp"
#include "io/h5ad_contents.hpp"
#include "io/hdf5_dataset.hpp"
#include "io/reader.hpp"

namespace {

using namespace convoy::io;

// An InputError is an answer; anything else is not.
template <class Action>
void answered(Action&& action) {
    try {
        action();
    } catch (const convoy::InputError&) {
    } catch (const convoy::Failure&) {
    }
}

void read_all_of(const Location& location) {
    const auto reader = open_reader(location);
    if (reader->rows() > 100000 / reader->columns()) return;
    std::vector<double> values(static_cast<std::size_t>(reader->rows() * reader->columns()));
    reader->read(0, reader->rows(), values);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const std::string path = [] {
        static std::string name = "/dev/shm/convoy-fuzz-" + std::to_string(::getpid()) + ".h5ad";
        std::atexit([] { ::unlink(name.c_str()); });
        return name;
    }();
    const int file = ::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY, 0600);
    if (::write(file, data, size) != static_cast<ssize_t>(size)) std::abort();
    ::close(file);

    answered([&] { contents_of_h5ad(path); });
    std::vector<std::string> keys, columns;
    answered([&] {
        const Location location{path, ""};
        const Hdf5 opened = open_hdf5_input(location);
        keys = h5ad_keys(location, opened.get());
        if (const auto obs = ObsFrame::open(location, opened.get(), "obs")) {
            columns = obs->columns();
            obs->index().read(0, obs->rows() < 100000 ? obs->rows() : 0);
        }
    });
    for (const std::string& key : keys) answered([&] { read_all_of({path, key}); });
    for (const std::string& column : columns) {
        for (const std::string& key : keys)
            answered([&] { open_reader({path, key})->filter({column + "!=no such value"}); });
        answered([&] { read_all_of({path, "obs:" + column}); });
    }
    return 0;
}
