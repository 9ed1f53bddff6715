// AnnData's files as inputs: which matrix is meant, and that its numbers are right.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "files.hpp"
#include "h5ad_files.hpp"
#include "io/h5ad_contents.hpp"
#include "io/point_names.hpp"
#include "io/reader.hpp"
#include "lzf_encoder.hpp"

namespace convoy::io {
namespace {

constexpr std::int64_t n = 7, d = 5;

// About half zeros.
Doubles sparse_values(std::int64_t rows, std::int64_t columns, int seed) {
    Doubles values(static_cast<std::size_t>(rows * columns));
    for (std::size_t k = 0; k < values.size(); ++k)
        values[k] = (k * 7 + static_cast<std::size_t>(seed)) % 5 < 2 ? static_cast<double>(k % 13) - 6.5 : 0;
    return values;
}

class H5adInput : public testing::Test {
 protected:
    std::string refused(const std::string& key) { return refusal_of(key.empty() ? path_ : path_ + "#" + key); }
    std::vector<double> read(const std::string& key) { return read_all(path_ + "#" + key); }
    static Texts names(const char* prefix, std::int64_t count) {
        Texts made;
        for (std::int64_t k = 0; k < count; ++k) made.push_back(prefix + std::to_string(k));
        return made;
    }

    Folder folder_;
    std::string path_ = folder_ / "cells.h5ad";
    Doubles dense_ = counted(n * d), sparse_ = sparse_values(n, d, 1);
    Texts cells_ = names("cell", n);
};

TEST_F(H5adInput, FindsEveryKindOfMatrix) {
    Hdf5 file = new_file(path_);
    add_frame(file.get(), "obs", cells_, {{"age", Integers{1, 2, 3, 4, 5, 6, 7}}}, Generation::groups);
    add_dataset(file.get(), "X", H5T_IEEE_F32LE, {n, d}, dense_);
    for (const char* name : {"obsm", "layers", "raw"}) add_group(file.get(), name);
    add_dataset(file.get(), "obsm/X_pca", H5T_IEEE_F32LE, {n, d}, dense_);
    add_sparse(file.get(), "layers/rows", sparse_, n, d, true);
    add_sparse(file.get(), "layers/columns", sparse_, n, d, false);
    add_sparse(file.get(), "raw/X", sparse_values(n, 9, 2), n, 9, true);
    add_frame(file.get(), "obsm/df", cells_,
              {{"x", Integers{1, 2, 3, 4, 5, 6, 7}},
               {"a,b", Doubles{.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5}},
               {"yes", Booleans{{true, false, true, false, true, false, true}}}},
              Generation::groups);
    add_frame(file.get(), "obsm/mixed", cells_,
              {{"x", Integers{1, 2, 3, 4, 5, 6, 7}},
               {"word", cells_},
               {"day", Categories{{0, 1, -1, 1, 0, 0, 0}, Doubles{10, 10.5}}},
               {"masked", Masked{{1, 2, 3, 4, 5, 6, 7}, {false, true, false, false, false, false, false}}}},
              Generation::groups);
    H5Lcreate_soft("/layers/rows", file.get(), "layers/soft", H5P_DEFAULT, H5P_DEFAULT);
    file.close();

    EXPECT_EQ(read("X"), dense_);
    EXPECT_EQ(read("/X"), dense_);
    EXPECT_EQ(read("obsm/X_pca"), dense_);
    EXPECT_EQ(read_all(path_), dense_);  // the default
    EXPECT_EQ(open_reader({path_, ""})->key(), "obsm/X_pca");
    EXPECT_EQ(read("layers/rows"), sparse_);
    EXPECT_EQ(read("layers/columns"), sparse_);
    EXPECT_EQ(read("layers/soft"), sparse_);
    EXPECT_EQ(read("raw/X"), sparse_values(n, 9, 2));
    EXPECT_EQ(read("obsm/df"), (Doubles{1, .5, 1, 2, 1.5, 0, 3, 2.5, 1, 4, 3.5, 0, 5, 4.5, 1, 6, 5.5, 0, 7, 6.5, 1}));
    EXPECT_EQ(read("obsm/df:a,b"), (Doubles{.5, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5}));
    EXPECT_EQ(read("obsm/df:yes,x"), (Doubles{1, 1, 0, 2, 1, 3, 0, 4, 1, 5, 0, 6, 1, 7}));
    EXPECT_EQ(read("obsm/df:a,b,x"), (Doubles{.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5, 6, 6.5, 7}));
    EXPECT_EQ(read("obs:age"), (Doubles{1, 2, 3, 4, 5, 6, 7}));
    EXPECT_TRUE(open_reader({path_, "obs:age"})->is_vector());
    EXPECT_TRUE(open_reader({path_, "layers/rows"})->is_sparse());
    const Doubles days = read("obsm/mixed:day"), masked = read("obsm/mixed:masked");
    EXPECT_EQ(days[1], 10.5);
    EXPECT_TRUE(std::isnan(days[2]));
    EXPECT_TRUE(std::isnan(masked[1]));

    expect_words(refused("obsm/mixed"), {"column 'word' of 'obsm/mixed' holds no numbers",
                                         "name the columns that do: ", "#obsm/mixed:x,day,masked"});
    expect_words(refused("obsm/df:x,z"), {"'obsm/df' has no column 'z'", "it has x, a,b, yes"});
    expect_words(refused("obs:word"), {"'obs' has no column 'word'"});
    expect_words(refused("Y"), {"it has no matrix 'Y'", "X, layers/columns, layers/rows, layers/soft, obsm/X_pca",
                                "raw/X", "name one, like: ", "cells.h5ad#X"});
    expect_words(refused("layers"), {"'layers' is no matrix"});
    expect_words(refused("obs"), {});
}

TEST_F(H5adInput, ReadsRunsOfSparseRows) {
    Hdf5 file = new_file(path_);
    const Doubles values = sparse_values(200, 11, 3);
    Hdf5 creation{H5Pcreate(H5P_DATASET_CREATE), H5Pclose};
    const hsize_t chunk = 17;
    H5Pset_chunk(creation.get(), 1, &chunk);
    H5Pset_deflate(creation.get(), 4);
    add_sparse(file.get(), "rows", values, 200, 11, true, false, creation.get());
    add_sparse(file.get(), "columns", values, 200, 11, false);
    add_sparse(file.get(), "older", values, 200, 11, true, true);
    file.close();
    const std::vector<GlobalRun> runs{
        {GlobalIndex{0}, 1}, {GlobalIndex{3}, 40}, {GlobalIndex{44}, 1}, {GlobalIndex{199}, 1}};
    Doubles expected;
    for (const GlobalRun& run : runs)
        expected.insert(expected.end(), values.begin() + run.first.value * 11,
                        values.begin() + (run.first.value + run.count) * 11);

    for (const char* key : {"rows", "columns", "older"}) {
        Doubles found(expected.size(), -1);
        open_reader({path_, key})->read_runs(runs, {0, 11}, found);
        EXPECT_EQ(found, expected) << key;
        EXPECT_EQ(read(key), values) << key;
    }
}

TEST_F(H5adInput, SumsEntriesOfOnePlace) {
    Hdf5 file = new_file(path_);
    Hdf5 group{H5Gcreate2(file.get(), "X", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose};
    add_text_attribute(group.get(), "encoding-type", "csr_matrix");
    add_shape_attribute(group.get(), "shape", 2, 3);
    add_values(group.get(), "data", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, Doubles{1, 2, 4, 8});
    add_values(group.get(), "indices", H5T_STD_I64LE, H5T_NATIVE_INT64, Integers{2, 0, 2, 1});
    add_values(group.get(), "indptr", H5T_STD_I64LE, H5T_NATIVE_INT64, Integers{0, 3, 4});
    group.close();
    file.close();

    EXPECT_EQ(read("X"), (Doubles{2, 0, 5, 0, 8, 0}));
}

TEST_F(H5adInput, RefusesSparseMatricesThatContradictThemselves) {
    struct Case {
        const char* name;
        Doubles data;
        Integers indices, pointers;
        std::int64_t rows, columns;
        std::vector<std::string> words;
    };
    const std::vector<Case> cases{
        {"index", {1, 2}, {0, 3}, {0, 1, 2}, 2, 3, {"row 1 has an entry with index 3"}},
        {"negative", {1, 2}, {0, -1}, {0, 1, 2}, 2, 3, {"row 1 has an entry with index -1"}},
        {"lengths", {1, 2}, {0}, {0, 1, 2}, 2, 3, {"2 numbers and 1 indices"}},
        {"pointers", {1, 2}, {0, 1}, {0, 2}, 2, 3, {"2 pointers", "2 x 3 needs 3"}},
        {"descending", {1, 2}, {0, 1}, {0, 2, 1}, 2, 3, {"pointer 2 is 1"}},
        {"beyond", {1, 2}, {0, 1}, {0, 1, 3}, 2, 3, {"pointer 2 is 3", "up to 2"}},
        {"below", {1, 2}, {0, 1}, {-1, 1, 2}, 2, 3, {"pointer 0 is -1"}},
        {"shape", {1, 2}, {0, 1}, {0, 1, 2}, -2, 3, {"does not say its shape"}},
        {"huge", {1, 2}, {0, 1}, {0, 1, 2}, std::int64_t{1} << 40, std::int64_t{1} << 40, {"large"}},
        {"empty", {}, {}, {0}, 0, 3, {"'X' is empty (0 x 3)"}},
    };
    for (const bool by_rows : {true, false}) {
        for (const Case& one : cases) {
            SCOPED_TRACE(one.name);
            Hdf5 file = new_file(path_);
            Hdf5 group{H5Gcreate2(file.get(), "X", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose};
            add_text_attribute(group.get(), "encoding-type", by_rows ? "csr_matrix" : "csc_matrix");
            add_shape_attribute(group.get(), "shape", by_rows ? one.rows : one.columns,
                                by_rows ? one.columns : one.rows);
            add_values(group.get(), "data", H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, one.data);
            add_values(group.get(), "indices", H5T_STD_I64LE, H5T_NATIVE_INT64, one.indices);
            add_values(group.get(), "indptr", H5T_STD_I64LE, H5T_NATIVE_INT64, one.pointers);
            group.close();
            file.close();
            const std::string message = refused("X");
            if (by_rows) {
                expect_words(message, one.words);
            } else {
                EXPECT_NE(message, "accepted");
            }
        }
    }
    Hdf5 file = new_file(path_);
    Hdf5 group{H5Gcreate2(file.get(), "X", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose};
    add_text_attribute(group.get(), "encoding-type", "csr_matrix");
    group.close();
    file.close();
    expect_words(refused("X"), {"sparse matrix 'X' has no 'data'"});
}

TEST_F(H5adInput, ReadsTheOldestLayout) {
    Hdf5 file = new_file(path_);
    add_frame(file.get(), "obs", cells_, {{"day", Categories{{0, 1, 0, 1, -1, 0, 1}, Doubles{1, 2.5}}}},
              Generation::compounds);
    add_frame(file.get(), "var", names("gene", d), {}, Generation::compounds);
    add_frame(file.get(), "raw.var", names("raw", 9), {}, Generation::compounds);
    add_dataset(file.get(), "X", H5T_IEEE_F32LE, {n, d}, dense_);
    add_sparse(file.get(), "raw.X", sparse_values(n, 9, 2), n, 9, true, true);
    const hsize_t two = 2, rows = n;
    const Hdf5 pair{H5Tarray_create2(H5T_IEEE_F64LE, 1, &two), H5Tclose};
    Hdf5 type{H5Tcreate(H5T_COMPOUND, 32), H5Tclose};
    H5Tinsert(type.get(), "X_pca", 0, pair.get());
    H5Tinsert(type.get(), "X_umap", 16, pair.get());
    Hdf5 obsm = make_dataset(file.get(), "obsm", type.get(), {rows});
    H5Dwrite(obsm.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, counted(4 * n).data());
    obsm.close();
    file.close();
    const Communicator alone;

    EXPECT_EQ(read("X"), dense_);
    EXPECT_EQ(read("raw/X"), sparse_values(n, 9, 2));
    EXPECT_EQ(read("raw.X"), sparse_values(n, 9, 2));
    EXPECT_EQ(read("obsm/X_umap"), (Doubles{2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27}));
    EXPECT_EQ(open_reader({path_, ""})->key(), "obsm/X_pca");
    expect_words(refused("obsm/X_tsne"), {"no matrix 'obsm/X_tsne'", "X, obsm/X_pca, obsm/X_umap, raw/X"});
    expect_words(refused("layers/a"), {"no matrix 'layers/a'"});
    EXPECT_EQ(PointNames::open(alone, {path_ + "#raw/X", "", "1"})->columns(), names("raw", 9));
    EXPECT_EQ(PointNames::open(alone, {path_ + "#X", "", "1"})->columns(), names("gene", d));
    EXPECT_EQ(PointNames::open(alone, {path_, "", "1", {"day=2.5"}})->read(0, 3), (Texts{"cell1", "cell3", "cell6"}));
}

TEST_F(H5adInput, SaysThatThereIsNothingToRead) {
    Hdf5 file = new_file(path_);
    add_frame(file.get(), "obs", {}, {}, Generation::groups);
    for (const char* name : {"obsm", "layers"}) add_group(file.get(), name);
    file.close();

    expect_words(refused(""), {"no matrix is named", "it has no matrices", "give a file that has points"});
    expect_words(refused("X"), {"no matrix 'X'"});
    EXPECT_EQ(contents_of_h5ad(path_).cells, 0);
    new_file(path_).close();
    expect_words(refusal([&] { contents_of_h5ad(path_); }), {"no file of AnnData's"});
    expect_words(refused(""), {"it has no matrices"});
    write_file(path_, "no such thing");
    expect_words(refused(""), {"no HDF5 file"});
}

TEST_F(H5adInput, ListsWhatThereIs) {
    Hdf5 file = new_file(path_);
    add_frame(file.get(), "obs", cells_,
              {{"day", Categories{{0, 1, 0, 1, -1, 0, 1}, Doubles{10, 10.5}}},
               {"score", Doubles{1, 2, 3, 4, 5, 6, std::numeric_limits<double>::quiet_NaN()}}},
              Generation::groups);
    add_frame(file.get(), "var", names("gene", d), {}, Generation::groups);
    Hdf5 strange{H5Gcreate2(file.get(), "obs/strange", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT), H5Gclose};
    add_text_attribute(strange.get(), "encoding-type", "awkward-array");
    Hdf5 obs{H5Gopen2(file.get(), "obs", H5P_DEFAULT), H5Gclose};
    H5Adelete(obs.get(), "column-order");
    add_list_attribute(obs.get(), "column-order", {"day", "score", "strange", "gone"});
    strange.close(), obs.close();
    add_dataset(file.get(), "X", H5T_IEEE_F32LE, {n, d}, dense_);
    add_group(file.get(), "obsm");
    add_frame(file.get(), "obsm/df", cells_, {{"x", Doubles(n, 1.0)}, {"word", cells_}}, Generation::groups);
    file.close();

    const H5adContents contents = contents_of_h5ad(path_);

    EXPECT_EQ(contents.cells, n);
    EXPECT_EQ(contents.genes, d);
    EXPECT_FALSE(contents.default_matrix);
    using Lines = std::vector<std::pair<std::string, std::string>>;
    EXPECT_EQ(contents.matrices,
              (Lines{{"X", "7 x 5, float32"}, {"obsm/df", "7 x 2, table; with numbers: obsm/df:x"}}));
    EXPECT_EQ(contents.columns,
              (Lines{{"day", "category; 10: 3, 10.5: 3; 1 rows have none"},
                     {"score", "float64; 1: 1, 2: 1, 3: 1, 4: 1, 5: 1, 6: 1; 1 rows have none"},
                     {"strange",
                      "not readable: column 'strange' of 'obs' is of a kind that is not read (its encoding is "
                      "'awkward-array'); take another column"}}));
}

// What cannot be: each is one line, whatever is asked of it.
TEST_F(H5adInput, RefusesTablesThatContradictThemselves) {
    const auto with = [&](const std::vector<ObsColumnOf>& columns, auto&& more) {
        Hdf5 file = new_file(path_);
        add_frame(file.get(), "obs", cells_, columns, Generation::groups);
        add_dataset(file.get(), "X", H5T_IEEE_F32LE, {n, d}, dense_);
        more(file.get());
        file.close();
        return refusal([&] { open_reader({path_, "X"})->filter({"day=10"}); });
    };
    const Categories good{{0, 1, 0, 1, -1, 0, 1}, Doubles{10, 10.5}};
    const auto nothing = [](hid_t) {};
    const auto replaced = [](const char* path, const std::vector<hsize_t>& extents, hid_t type) {
        return [=](hid_t file) {
            H5Ldelete(file, path, H5P_DEFAULT);
            make_dataset(file, path, type, extents);
        };
    };

    expect_words(with({{"day", Categories{{0, 1, 0, 1, -1, 0, 2}, Doubles{10, 10.5}}}}, nothing),
                 {"column 'day' has a code 2", "it has 2 categories"});
    expect_words(with({{"day", Integers{1, 2}}}, nothing), {"column 'day' of 'obs' has 2 rows", "the table has 7"});
    expect_words(with({{"day", good}}, replaced("obs/day/categories", {2, 2}, H5T_IEEE_F64LE)), {"numbers in a row"});
    expect_words(with({{"day", good}}, replaced("obs/day/codes", {7}, H5T_IEEE_F64LE)), {"no column of categories"});
    expect_words(with({{"day", good}}, replaced("obs/day/codes", {7, 1}, H5T_STD_I8LE)), {"accepted"});
    expect_words(with({{"day", good}}, replaced("obs/day", {2, 2, 2}, H5T_STD_I8LE)), {"3 dimensions"});
    expect_words(with({{"day", good}}, [](hid_t file) { H5Ldelete(file, "obs/cell names", H5P_DEFAULT); }),
                 {"table 'obs' has no index"});
    expect_words(with({{"day", good}}, [](hid_t file) { H5Ldelete(file, "obs", H5P_DEFAULT); }), {"no table 'obs'"});
    expect_words(with({{"day", Masked{{1, 2, 3, 4, 5, 6, 7}, {true, false}}}}, nothing), {"a mask of 2"});
    expect_words(with({{"day", good}},
                      [](hid_t file) {
                          H5Ldelete(file, "obs/day/categories", H5P_DEFAULT);
                          H5Lcreate_soft("/obs/day/categories", file, "obs/day/categories", H5P_DEFAULT, H5P_DEFAULT);
                      }),
                 {"cannot read '"});  // a link to itself
    expect_words(with({{"day", good}},
                      [](hid_t file) {
                          H5Ldelete(file, "X", H5P_DEFAULT);
                          add_dataset(file, "X", H5T_IEEE_F32LE, {2, 3}, counted(6));
                      }),
                 {"dataset 'X' has 2 rows", "'obs' has 7", "a row for each cell"});
    const auto dangling = [&](hid_t file) {
        H5Ldelete(file, "obs/day", H5P_DEFAULT);
        const Hdf5 codes = add_values(file, "obs/day", H5T_STD_I8LE, H5T_NATIVE_INT, good.codes);
        const Hdf5 scalar{H5Screate(H5S_SCALAR), H5Sclose};
        const Hdf5 attribute{
            H5Acreate2(codes.get(), "categories", H5T_STD_REF_OBJ, scalar.get(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose};
        const hobj_ref_t nowhere = 12345;
        H5Awrite(attribute.get(), H5T_STD_REF_OBJ, &nowhere);
    };
    expect_words(with({{"day", good}}, dangling), {"the categories of 'obs/day' are not there"});
}

TEST_F(H5adInput, DoesNotLeaveItsFile) {
    const std::string other = folder_ / "other.h5ad";
    Hdf5 outside = new_file(other);
    add_frame(outside.get(), "obs", cells_, {{"day", Doubles(n, 10.0)}}, Generation::groups);
    add_dataset(outside.get(), "X", H5T_IEEE_F64LE, {n, d}, dense_);
    add_sparse(outside.get(), "S", sparse_, n, d, true);
    outside.close();
    Hdf5 file = new_file(path_);
    add_dataset(file.get(), "X", H5T_IEEE_F64LE, {n, d}, dense_);
    add_sparse(file.get(), "S", sparse_, n, d, true);
    const auto link = [&](const char* target, const char* path) {
        H5Ldelete(file.get(), path, H5P_DEFAULT);
        H5Lcreate_external("other.h5ad", target, file.get(), path, H5P_DEFAULT, H5P_DEFAULT);
    };
    link("/obs", "obs");
    link("/X", "Y");
    link("/S/data", "S/data");
    link("/", "obsm");
    link("/", "layers");
    file.close();

    for (const char* key : {"Y", "S", "obsm/X_pca", "layers/X", "obs:day"})
        expect_words(refused(key), {"is a link into another file"});
    expect_words(refusal([&] {
                     open_reader({path_, "X"})->filter({"day=10"});
                 }),
                 {"'obs' is a link into another file"});
    expect_words(refused("nothing"), {"cannot read '"});
    expect_words(refusal([&] { contents_of_h5ad(path_); }), {"is a link into another file"});

    // Storage and views that lie elsewhere.
    Hdf5 again = new_file(path_);
    add_frame(again.get(), "obs", cells_, {{"day", Doubles(n, 10.0)}}, Generation::groups);
    Hdf5 external{H5Pcreate(H5P_DATASET_CREATE), H5Pclose}, view{H5Pcreate(H5P_DATASET_CREATE), H5Pclose};
    H5Pset_external(external.get(), "/etc/passwd", 0, 8 * n * d);
    make_dataset(again.get(), "X", H5T_IEEE_F64LE, {n, d}, external.get());
    const hsize_t extents[2] = {n, d};
    const Hdf5 space{H5Screate_simple(2, extents, nullptr), H5Sclose};
    H5Pset_virtual(view.get(), space.get(), "other.h5ad", "X", space.get());
    make_dataset(again.get(), "V", H5T_IEEE_F64LE, {n, d}, view.get());
    H5Ldelete(again.get(), "obs/day", H5P_DEFAULT);
    Hdf5 external_column{H5Pcreate(H5P_DATASET_CREATE), H5Pclose};
    H5Pset_external(external_column.get(), "/etc/passwd", 0, 8 * n);
    make_dataset(again.get(), "obs/day", H5T_IEEE_F64LE, {n}, external_column.get());
    add_dataset(again.get(), "Z", H5T_IEEE_F64LE, {n, d}, dense_);
    again.close();
    expect_words(refused("X"), {"external storage"});
    expect_words(refused("V"), {"is virtual"});
    expect_words(refused("obs:day"), {"external storage"});
    expect_words(refusal([&] { open_reader({path_, "Z"})->filter({"day=10"}); }), {"external storage"});
}

TEST_F(H5adInput, ReadsTextThatIsPackedWithLzf) {
    Hdf5 file = new_file(path_);
    Hdf5 creation{H5Pcreate(H5P_DATASET_CREATE), H5Pclose};
    const hsize_t chunk = 4;
    H5Pset_chunk(creation.get(), 1, &chunk);
    add_frame(file.get(), "obs", cells_, {{"type", Texts{"a", "b", "a", "b", "a", "", "c"}}}, Generation::groups,
              creation.get());
    add_dataset(file.get(), "X", H5T_IEEE_F32LE, {n, d}, dense_);
    // The same chunks again, packed.
    Hdf5 packed{H5Pcopy(creation.get()), H5Pclose};
    H5Pset_filter(packed.get(), 32000, H5Z_FLAG_OPTIONAL, 0, nullptr);
    Hdf5 plain{H5Dopen2(file.get(), "obs/type", H5P_DEFAULT), H5Dclose};
    const Hdf5 type = text_type();
    Hdf5 replaced = make_dataset(file.get(), "obs/packed", type.get(), {n}, packed.get());
    Hdf5 broken = make_dataset(file.get(), "obs/broken", type.get(), {n}, packed.get());
    for (hsize_t at = 0; at < n; at += chunk) {
        std::vector<std::byte> stored(16 * chunk);
        std::uint32_t mask = 0;
        H5Dread_chunk(plain.get(), H5P_DEFAULT, &at, &mask, stored.data());
        const std::vector<std::byte> stream = encode_lzf(stored);
        H5Dwrite_chunk(replaced.get(), H5P_DEFAULT, 0, &at, stream.size(), stream.data());
        const std::vector<std::byte> half = encode_lzf(std::span{stored}.first(32));
        H5Dwrite_chunk(broken.get(), H5P_DEFAULT, 0, &at, half.size(), half.data());
    }
    replaced.close(), broken.close(), plain.close();
    Hdf5 obs{H5Gopen2(file.get(), "obs", H5P_DEFAULT), H5Gclose};
    H5Adelete(obs.get(), "column-order");
    add_list_attribute(obs.get(), "column-order", {"type", "packed", "broken"});
    obs.close();
    file.close();
    const Communicator alone;
    auto names = PointNames::open(alone, {path_ + "#X", "", "1"});

    EXPECT_EQ(names->read("packed", 0, n), (Texts{"a", "b", "a", "b", "a", "", "c"}));
    expect_words(refusal([&] { names->read("broken", 0, n); }), {"a chunk is damaged"});
}

TEST_F(H5adInput, IsRefusedWhereverItIsTruncated) {
    Hdf5 file = new_file(path_);
    add_frame(file.get(), "obs", cells_, {{"day", Categories{{0, 1, 0, 1, -1, 0, 1}, Texts{"ten", "eleven"}}}},
              Generation::references);
    add_sparse(file.get(), "X", sparse_, n, d, true);
    file.close();
    const std::string whole = bytes_of(path_);
    ASSERT_EQ(refusal([&] { open_reader({path_, "X"})->filter({"day=ten"}); }), "accepted");

    for (std::size_t length = 1; length < whole.size(); length += 53) {
        write_file(path_, whole.substr(0, length));
        expect_words(refusal([&] {
                         const auto reader = open_reader({path_, "X"});
                         reader->filter({"day=ten"});
                         read("X");
                     }),
                     {"cannot read '"});
    }
}

}  // namespace
}  // namespace convoy::io
