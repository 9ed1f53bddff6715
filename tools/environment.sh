# shellcheck shell=bash
# Sourced by the scripts beside it: the repository's folder, the cores at hand, MPI that works in a container and with
# more ranks than cores, a Python that can.
# shellcheck disable=SC2034
root=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034
cores=$(nproc)

export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_rmaps_base_oversubscribe=1 PRTE_MCA_rmaps_default_mapping_policy=:oversubscribe
export OMPI_MCA_hwloc_base_binding_policy=none
export OMPI_MCA_btl_vader_single_copy_mechanism=none

# python_with MODULE...: prints a Python that imports them all; fails if there is none.
python_with() {
    local candidate modules
    modules=$(IFS=,; printf '%s' "$*")
    for candidate in /usr/bin/python3 python3; do
        if "$candidate" -c "import $modules" >/dev/null 2>&1; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    return 1
}

# find_nvcc: prints where CUDA's compiler is, as CMake will look for it (cmake/cuda.cmake); fails if there is none, or one
# older than CUDA 12.
find_nvcc() {
    local candidate release
    for candidate in "${CUDACXX-}" "$(command -v nvcc || true)" "${CUDA_HOME-}/bin/nvcc" "${CUDA_PATH-}/bin/nvcc" \
        /usr/local/cuda/bin/nvcc; do
        if [[ -n $candidate && -x $candidate ]]; then
            release=$("$candidate" --version 2>/dev/null | sed -n 's/.*release \([0-9]*\)\..*/\1/p') || return 1
            if ((${release:-0} < 12)); then return 1; fi
            printf '%s\n' "$candidate"
            return 0
        fi
    done
    return 1
}

# mpi_run RANKS COMMAND...: without Open MPI's banner when the command ends with a code of its own.
mpi_run() {
    local ranks=$1 launcher version
    shift
    launcher=(mpirun)
    version=$(mpirun --version 2>&1 || true)
    if [[ $version == *"Open MPI"* ]]; then launcher+=(-q); fi
    "${launcher[@]}" -n "$ranks" "$@"
}
