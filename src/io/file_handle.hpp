#pragma once
// A POSIX file descriptor that closes itself.

#include <unistd.h>

#include <utility>

namespace convoy::io {

class FileHandle {
 public:
    FileHandle() = default;
    explicit FileHandle(int descriptor) : descriptor_{descriptor} {}
    FileHandle(FileHandle&& from) noexcept : descriptor_{std::exchange(from.descriptor_, -1)} {}
    FileHandle& operator=(FileHandle&& from) noexcept {
        std::swap(descriptor_, from.descriptor_);
        return *this;
    }
    ~FileHandle() {
        if (descriptor_ >= 0) ::close(descriptor_);
    }

    int get() const { return descriptor_; }
    explicit operator bool() const { return descriptor_ >= 0; }

 private:
    int descriptor_ = -1;
};

}  // namespace convoy::io
