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
    ManyFiles(std::vector<Location> files, OpenOne open_one)
        : files_{std::move(files)}, open_one_{std::move(open_one)} {
        std::int64_t rows = 0;
        for (std::size_t k = 0; k < files_.size(); ++k) {
            open(k);
            if (k == 0) {
                columns_ = reader_->columns();
                vector_ = reader_->is_vector();
                image_ = reader_->image();
                place_ = reader_->place();
                key_ = reader_->key();
                band_ = reader_->band();
            } else if (reader_->columns() != columns_) {
                refuse(files_[k], fmt::format("it has {} columns", reader_->columns()),
                       fmt::format("'{}' has {}, and the pattern names both", files_[0].name(), columns_),
                       "give a pattern of files that belong together");
            }
            if (reader_->image() != image_) image_.reset();
            // Bands that a file's end cuts are none of the whole.
            if (reader_->band() != band_ || rows % band_ != 0) band_ = 1;
            sequential_ = sequential_ || reader_->sequential();
            sparse_ = sparse_ || reader_->is_sparse();
            begins_.push_back(rows);
            if (reader_->rows() >
                std::numeric_limits<std::int64_t>::max() / 16 / std::max<std::int64_t>(columns_, 1) - rows)
                refuse(files_[k], "the files of the pattern are too large together", "", "check their headers");
            rows += reader_->rows();
        }
        begins_.push_back(rows);
    }

    std::int64_t rows() const override { return begins_.back(); }
    std::int64_t columns() const override { return columns_; }
    bool is_vector() const override { return vector_; }
    bool sequential() const override { return sequential_; }
    bool is_sparse() const override { return sparse_; }
    std::int64_t band() const override { return band_; }
    std::string key() const override { return key_; }
    std::optional<ImageShape> image() const override { return image_; }
    std::string place() const override { return fmt::format("{} of {} files", place_, files_.size()); }
    FilteredRows filter(const std::vector<std::string>& conditions) override {
        throw InputError{
            fmt::format("rows cannot be chosen by '{}' (of one file alone, and the pattern names {}); name one, or put "
                        "them together",
                        conditions.front(), files_.size())};
    }

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
        const GlobalRun rows{GlobalIndex{first}, count};
        read_runs({&rows, 1}, all_columns(), out);
    }

    void read_runs(std::span<const GlobalRun> rows, ColumnRun columns, std::span<double> out) override {
        expect_within(rows, columns, out);
        std::vector<GlobalRun> inner;  // of the file that is at hand
        std::size_t file = 0;
        const auto take = [&] {
            if (inner.empty()) return;
            open(file);
            const auto count = static_cast<std::size_t>(rows_of(inner) * columns.count);
            reader_->read_runs(inner, columns, out.first(count));
            out = out.subspan(count);
            inner.clear();
        };
        for (const GlobalRun& run : rows) {
            for (std::int64_t done = 0; done < run.count;) {
                const std::int64_t row = run.first.value + done;
                if (const std::size_t k = file_of(row); k != file) {
                    take();
                    file = k;
                }
                const std::int64_t count = std::min(run.count - done, begins_[file + 1] - row);
                inner.push_back({GlobalIndex{row - begins_[file]}, count});
                done += count;
            }
        }
        take();
    }

 private:
    std::size_t file_of(std::int64_t row) const {
        const auto after = std::ranges::upper_bound(begins_, row);
        return static_cast<std::size_t>(after - begins_.begin()) - 1;
    }

    void open(std::size_t k) {
        if (reader_ && opened_ == k) return;
        reader_.reset();
        reader_ = open_one_(files_[k]);
        opened_ = k;
        const bool known = k + 1 < begins_.size();
        if (known && (reader_->rows() != begins_[k + 1] - begins_[k] || reader_->columns() != columns_))
            refuse(files_[k], fmt::format("it has {} rows now", reader_->rows()),
                   fmt::format("{} at first", begins_[k + 1] - begins_[k]), "do not change inputs during a run");
    }

    std::vector<Location> files_;
    OpenOne open_one_;
    std::vector<std::int64_t> begins_;  // the first row of each file, and the number of all
    std::int64_t columns_ = 0, band_ = 1;
    bool vector_ = false, sequential_ = false, sparse_ = false;
    std::string key_;
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

std::unique_ptr<Reader> open_pattern(const Location& location, OpenOne open_one) {
    std::vector<Location> files;
    for (const std::string& path : files_named(location.path)) files.push_back({path, location.key});
    if (files.empty()) refuse(location, "no file matches this pattern", "", "check the folder and the pattern");
    if (files.size() == 1) return open_one(files[0]);
    return std::make_unique<ManyFiles>(std::move(files), std::move(open_one));
}

}  // namespace convoy::io
