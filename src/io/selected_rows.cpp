#include "io/selected_rows.hpp"

#include <utility>

#include "convoy/error.hpp"

namespace convoy::io {

namespace {

class SelectedRows final : public Reader {
 public:
    SelectedRows(std::unique_ptr<Reader> reader, std::shared_ptr<const RowSelection> rows)
        : reader_{std::move(reader)}, selection_{std::move(rows)} {
        CONVOY_EXPECT(reader_->rows() == selection_->file_rows());
    }

    std::int64_t rows() const override { return selection_->rows(); }
    std::int64_t columns() const override { return reader_->columns(); }
    bool is_vector() const override { return reader_->is_vector(); }
    bool is_sparse() const override { return reader_->is_sparse(); }
    bool sequential() const override { return reader_->sequential(); }
    std::int64_t band() const override { return reader_->band(); }
    std::int64_t column_band() const override { return reader_->column_band(); }
    std::string key() const override { return reader_->key(); }
    std::optional<ImageShape> image() const override { return reader_->image(); }
    std::string place() const override { return reader_->place(); }
    std::string row_name(std::int64_t row) const override { return reader_->row_name(selection_->file_row(row)); }
    std::string position(std::int64_t row, std::int64_t column) const override {
        return reader_->position(selection_->file_row(row), column);
    }

    void read(std::int64_t first, std::int64_t count, std::span<double> out) override {
        reader_->read_runs(selection_->runs(first, count), all_columns(), out);
    }

 private:
    std::unique_ptr<Reader> reader_;
    std::shared_ptr<const RowSelection> selection_;
};

}  // namespace

std::unique_ptr<Reader> select_rows(std::unique_ptr<Reader> reader, std::shared_ptr<const RowSelection> rows) {
    return std::make_unique<SelectedRows>(std::move(reader), std::move(rows));
}

}  // namespace convoy::io
