#include "io/text_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "convoy/error.hpp"
#include "io/hdf5_dataset.hpp"
#include "io/input_error.hpp"

namespace convoy::io {

namespace {

constexpr std::int64_t rows_at_once = 65536;

// Strings that HDF5 has allocated.
class Strings {
 public:
    explicit Strings(std::size_t count) : pointers_(count, nullptr) {}
    ~Strings() {
        for (char* pointer : pointers_) H5free_memory(pointer);
    }
    Strings(const Strings&) = delete;
    Strings& operator=(const Strings&) = delete;

    std::byte* data() { return reinterpret_cast<std::byte*>(pointers_.data()); }
    const std::vector<char*>& pointers() const { return pointers_; }

 private:
    std::vector<char*> pointers_;
};

}  // namespace

TextRows::TextRows(const Location& location, const std::string& path, Hdf5 dataset, const std::string& member)
    : rows_{location, path, std::move(dataset), member} {
    if (!reads(rows_.type()) || !rows_.vector())
        refuse(location, place() + " holds no list of text", fmt::format("its type is {}", type_name(rows_.type())));
    variable_ = H5Tis_variable_str(rows_.type()) > 0;
    blanks_ = H5Tget_strpad(rows_.type()) == H5T_STR_SPACEPAD;
}

std::vector<std::string> TextRows::read(std::int64_t first, std::int64_t count) {
    CONVOY_EXPECT(first >= 0 && first + count <= rows());
    std::vector<std::string> texts;
    texts.reserve(static_cast<std::size_t>(count));
    for (std::int64_t at = 0; at < count; at += rows_at_once) {
        const GlobalRun run{GlobalIndex{first + at}, std::min(rows_at_once, count - at)};
        if (variable_)
            read_variable(run, texts);
        else
            read_fixed(run, texts);
    }
    return texts;
}

void TextRows::read_fixed(GlobalRun run, std::vector<std::string>& texts) {
    const std::size_t length = rows_.bytes();
    std::vector<std::byte> bytes(static_cast<std::size_t>(run.count) * length);
    rows_.read({&run, 1}, bytes);
    for (std::int64_t k = 0; k < run.count; ++k) {
        std::string_view text{reinterpret_cast<const char*>(bytes.data()) + static_cast<std::size_t>(k) * length,
                              length};
        text = text.substr(0, text.find('\0'));
        if (blanks_) text = text.substr(0, text.find_last_not_of(' ') + 1);
        texts.emplace_back(text);
    }
}

void TextRows::read_variable(GlobalRun run, std::vector<std::string>& texts) {
    const Hdf5 memory{H5Tcopy(H5T_C_S1), H5Tclose};
    H5Tset_size(memory.get(), H5T_VARIABLE);
    H5Tset_cset(memory.get(), H5Tget_cset(rows_.type()));
    Strings strings{static_cast<std::size_t>(run.count)};
    rows_.read_by_hdf5(run, memory.get(), strings.data());
    for (const char* text : strings.pointers()) texts.emplace_back(text != nullptr ? text : "");
}

}  // namespace convoy::io
