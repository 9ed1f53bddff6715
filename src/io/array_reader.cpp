#include "io/array_reader.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "convoy/error.hpp"

namespace convoy::io {

namespace {

constexpr std::int64_t buffer_bytes = std::int64_t{4} << 20;
// A call to the system costs about as much as copying so many bytes.
constexpr std::int64_t cheap_gap = 4096;

class ArrayReader final : public Reader {
 public:
    ArrayReader(ByteFile file, ArrayLayout layout)
        : file_{std::move(file)}, layout_{std::move(layout)}, convert_{converter(layout_.type)} {
        if (layout_.row_stride == 0) layout_.row_stride = layout_.shape.columns * layout_.type.size;
    }

    std::int64_t rows() const override { return layout_.shape.rows; }
    std::int64_t columns() const override { return layout_.shape.columns; }
    bool is_vector() const override { return layout_.shape.vector; }
    std::optional<ImageShape> image() const override { return layout_.shape.image; }
    std::string place() const override { return layout_.place; }

    void read(std::int64_t first, std::int64_t count, std::span<double> out) override {
        read_rows({GlobalIndex{first}, count}, all_columns(), out.data());
    }

    void read_runs(std::span<const GlobalRun> runs, ColumnRun columns, std::span<double> out) override {
        expect_within(runs, columns, out);
        double* to = out.data();
        for (const GlobalRun& rows : runs) {
            read_rows(rows, columns, to);
            to += rows.count * columns.count;
        }
    }

 private:
    void read_rows(GlobalRun rows, ColumnRun columns, double* out) {
        const std::int64_t size = layout_.type.size;
        if (layout_.columns_first) {
            for (std::int64_t j = 0; j < columns.count; ++j)
                read_run(layout_.at + ((columns.first + j) * this->rows() + rows.first.value) * size, rows.count,
                         columns.count, out + j);
            return;
        }
        const std::int64_t stride = layout_.row_stride, wanted = columns.count * size;
        const std::int64_t at = layout_.at + rows.first.value * stride + columns.first * size;
        if (wanted == stride) return read_run(at, rows.count * columns.count, 1, out);
        if (stride > buffer_bytes || stride - wanted > std::max(cheap_gap, 2 * wanted)) {
            for (std::int64_t i = 0; i < rows.count; ++i)
                read_run(at + i * stride, columns.count, 1, out + i * columns.count);
            return;
        }
        read_rows_with_gaps(at, rows.count, columns.count, out);
    }

    // `count` numbers that lie one after the other, to out[0], out[stride], ...
    void read_run(std::int64_t at, std::int64_t count, std::int64_t stride, double* out) {
        const std::int64_t size = layout_.type.size, step = buffer_bytes / size;
        buffer_.resize(static_cast<std::size_t>(std::min(count, step) * size));
        for (std::int64_t done = 0; done < count; done += step) {
            const std::int64_t numbers = std::min(step, count - done);
            file_.read(at + done * size, buffer_.data(), numbers * size);
            convert_(buffer_.data(), numbers, stride, out + done * stride);
        }
    }

    // Many rows at once, and what lies between them.
    void read_rows_with_gaps(std::int64_t at, std::int64_t count, std::int64_t columns, double* out) {
        const std::int64_t stride = layout_.row_stride, wanted = columns * layout_.type.size;
        const std::int64_t step = std::max<std::int64_t>(1, buffer_bytes / stride);
        for (std::int64_t done = 0; done < count; done += step) {
            const std::int64_t rows = std::min(step, count - done);
            const std::int64_t bytes = (rows - 1) * stride + wanted;  // no gap behind the last row
            buffer_.resize(static_cast<std::size_t>(bytes));
            file_.read(at + done * stride, buffer_.data(), bytes);
            for (std::int64_t i = 0; i < rows; ++i)
                convert_(buffer_.data() + i * stride, columns, 1, out + (done + i) * columns);
        }
    }

    ByteFile file_;
    ArrayLayout layout_;
    Convert convert_;
    std::vector<char> buffer_;
};

}  // namespace

std::unique_ptr<Reader> open_array(ByteFile file, ArrayLayout layout) {
    CONVOY_EXPECT(layout.at + layout.shape.numbers() * layout.type.size <= file.size());
    return std::make_unique<ArrayReader>(std::move(file), std::move(layout));
}

}  // namespace convoy::io
