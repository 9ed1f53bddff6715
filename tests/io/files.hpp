#pragma once
// What the tests of files share: a folder that goes away, files made by hand, and what a refusal says.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "convoy/error.hpp"
#include "io/reader.hpp"

namespace convoy::io {

// A fresh folder. Under MPI, rank 0 makes it and the others are given its name.
class Folder {
 public:
    Folder() {
        std::string name = (std::filesystem::temp_directory_path() / "convoy-io-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) throw Failure{"no temporary folder"};
        path_ = name;
    }
    explicit Folder(const Communicator& world) : world_{world} {
        std::string name = (std::filesystem::temp_directory_path() / "convoy-io-XXXXXX").string();
        owner_ = world.is_root();
        if (owner_ && ::mkdtemp(name.data()) == nullptr) throw Failure{"no temporary folder"};
        world.broadcast(name);
        path_ = name;
    }
    ~Folder() {
        world_.barrier();  // others may still look
        std::error_code none;
        if (owner_) std::filesystem::remove_all(path_, none);
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    std::string operator/(const std::string& name) const { return path_ + "/" + name; }
    const std::string& path() const { return path_; }
    std::vector<std::string> names() const {
        std::vector<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator{path_})
            names.push_back(entry.path().filename().string());
        return names;
    }

 private:
    Communicator world_;
    std::string path_;
    bool owner_ = true;
};

inline void write_file(const std::string& path, const std::string& bytes) {
    std::ofstream{path, std::ios::binary} << bytes;
}

inline std::string bytes_of(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    return {std::istreambuf_iterator<char>{file}, {}};
}

inline std::vector<double> read_all(const std::string& text) {
    const auto reader = open_reader(Location::parse(text));
    std::vector<double> values(static_cast<std::size_t>(reader->rows() * reader->columns()));
    reader->read(0, reader->rows(), values);
    return values;
}

// What `action` is refused with; "accepted" if it is not.
template <class Action>
std::string refusal(Action&& action) {
    try {
        action();
    } catch (const InputError& error) {
        return error.what();
    }
    return "accepted";
}
inline std::string refusal_of(const std::string& text) {
    return refusal([&] { read_all(text); });
}

inline void expect_words(const std::string& message, const std::vector<std::string>& words) {
    for (const std::string& word : words)
        EXPECT_NE(message.find(word), std::string::npos) << "'" << word << "' is not in: " << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

// A .npy file: the header, padded, and the numbers' bytes.
inline std::string npy(const std::string& type, const std::string& shape, const std::string& data,
                       bool columns_first = false, int version = 1) {
    std::string header = "{'descr': '" + type + "', 'fortran_order': " + (columns_first ? "True" : "False") +
                         ", 'shape': " + shape + ", }";
    const std::size_t start = version == 1 ? 10 : 12;
    header += std::string(63 - (start + header.size()) % 64, ' ') + "\n";
    std::string head = "\x93NUMPY";
    head += static_cast<char>(version);
    head += '\0';
    for (std::size_t i = 0; i < start - 8; ++i) head += static_cast<char>((header.size() >> (8 * i)) & 255);
    return head + header + data;
}

template <class T>
std::string raw(const std::vector<T>& values, bool swapped = false) {
    std::string bytes;
    for (const T value : values) {
        std::string one(reinterpret_cast<const char*>(&value), sizeof(T));
        bytes += swapped ? std::string{one.rbegin(), one.rend()} : one;
    }
    return bytes;
}

}  // namespace convoy::io
