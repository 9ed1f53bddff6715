#include "io/pattern.hpp"

#include <fmt/format.h>
#include <glob.h>
#include <sys/stat.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "convoy/error.hpp"
#include "io/input_error.hpp"

namespace convoy::io {

namespace {

// Files below each other. Only the one that is read is open: there may be more of them than a process may have open.
class ManyFiles final : public Reader {
 public:
    explicit ManyFiles(std::vector<Location> files) : files_{std::move(files)} {
        std::int64_t rows = 0;
        for (std::size_t k = 0; k < files_.size(); ++k) {
            open(k);
            if (k == 0) {
                columns_ = reader_->columns();
                vector_ = reader_->is_vector();
                image_ = reader_->image();
                place_ = reader_->place();
            } else if (reader_->columns() != columns_) {
                refuse(files_[k], fmt::format("it has {} columns", reader_->columns()),
                       fmt::format("'{}' has {}, and the pattern names both", files_[0].name(), columns_),
                       "give a pattern of files that belong together");
            }
            if (reader_->image() != image_) image_.reset();
            sequential_ = sequential_ || reader_->sequential();
            begins_.push_back(rows);
            if (reader_->rows() > std::numeric_limits<std::int64_t>::max() / 16 / columns_ - rows)
                refuse(files_[k], "the files of the pattern are too large together", "", "check their headers");
            rows += reader_->rows();
        }
        begins_.push_back(rows);
    }

    std::int64_t rows() const override { return begins_.back(); }
    std::int64_t columns() const override { return columns_; }
    bool is_vector() const override { return vector_; }
    bool sequential() const override { return sequential_; }
    std::optional<ImageShape> image() const override { return image_; }
    std::string place() const override { return fmt::format("{} of {} files", place_, files_.size()); }

    std::string row_name(std::int64_t row) const override { return position(row, -1); }
    std::string position(std::int64_t row, std::int64_t column) const override {
        const std::size_t k = file_of(row);
        const std::int64_t inner = row - begins_[k];
        const bool opened = k == opened_ && reader_;  // then it may know more, such as the line
        const std::string where = !opened      ? fmt::format("row {}", inner)
                                  : column < 0 ? reader_->row_name(inner)
                                               : reader_->position(inner, column);
        return fmt::format("{} of '{}'", where, files_[k].path);
    }

    void read(std::int64_t first, std::int64_t count, std::span<double> out) override {
        read_block({first, count, 0, columns_}, out);
    }

    void read_block(const Block& block, std::span<double> out) override {
        expect_within(block, out);
        for (std::int64_t done = 0; done < block.rows;) {
            const std::int64_t row = block.first_row + done;
            const std::size_t k = file_of(row);
            const std::int64_t count = std::min(block.rows - done, begins_[k + 1] - row);
            open(k);
            reader_->read_block({row - begins_[k], count, block.first_column, block.columns},
                                out.subspan(static_cast<std::size_t>(done * block.columns),
                                            static_cast<std::size_t>(count * block.columns)));
            done += count;
        }
    }

 private:
    std::size_t file_of(std::int64_t row) const {
        const auto after = std::ranges::upper_bound(begins_, row);
        return static_cast<std::size_t>(after - begins_.begin()) - 1;
    }

    void open(std::size_t k) {
        if (reader_ && opened_ == k) return;
        reader_.reset();
        reader_ = open_reader(files_[k]);
        opened_ = k;
        const bool known = k + 1 < begins_.size();
        if (known && (reader_->rows() != begins_[k + 1] - begins_[k] || reader_->columns() != columns_))
            refuse(files_[k], fmt::format("it has {} rows now", reader_->rows()),
                   fmt::format("{} at first", begins_[k + 1] - begins_[k]), "do not change inputs during a run");
    }

    std::vector<Location> files_;
    std::vector<std::int64_t> begins_;  // the first row of each file, and the number of all
    std::int64_t columns_ = 0;
    bool vector_ = false, sequential_ = false;
    std::optional<ImageShape> image_;
    std::string place_;
    std::unique_ptr<Reader> reader_;
    std::size_t opened_ = 0;
};

}  // namespace

bool is_pattern(const std::string& path) {
    struct stat status;
    return path.find_first_of("*?[") != std::string::npos && ::lstat(path.c_str(), &status) != 0;
}

std::vector<std::string> files_named(const std::string& path) {
    if (!is_pattern(path)) return {path};
    glob_t found{};
    const int code = ::glob(path.c_str(), GLOB_NOSORT, nullptr, &found);  // its order would be the language's
    std::vector<std::string> files(found.gl_pathv, found.gl_pathv + (code == 0 ? found.gl_pathc : 0));
    ::globfree(&found);
    std::ranges::sort(files);
    return files;
}

std::unique_ptr<Reader> open_pattern(const Location& location) {
    std::vector<Location> files;
    for (const std::string& path : files_named(location.path)) files.push_back({path, location.key});
    if (files.empty()) refuse(location, "no file matches this pattern", "", "check the folder and the pattern");
    if (files.size() == 1) return open_reader(files[0]);
    return std::make_unique<ManyFiles>(std::move(files));
}

}  // namespace convoy::io
