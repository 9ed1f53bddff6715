#pragma once
// Atomic operations: only one thread runs at a time, so each is a plain one. All return what was there before.

#include <type_traits>
#include <utility>

// The value's type follows the address's, as with CUDA's overloads.
template <class T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
    const T old = *address;
    *address = old + value;
    return old;
}
template <class T>
T atomicSub(T* address, std::type_identity_t<T> value) {
    return std::exchange(*address, *address - value);
}
template <class T>
T atomicExch(T* address, std::type_identity_t<T> value) {
    return std::exchange(*address, value);
}
template <class T>
T atomicMin(T* address, std::type_identity_t<T> value) {
    return std::exchange(*address, value < *address ? value : *address);
}
template <class T>
T atomicMax(T* address, std::type_identity_t<T> value) {
    return std::exchange(*address, *address < value ? value : *address);
}
template <class T>
T atomicAnd(T* address, std::type_identity_t<T> value) {
    return std::exchange(*address, *address & value);
}
template <class T>
T atomicOr(T* address, std::type_identity_t<T> value) {
    return std::exchange(*address, *address | value);
}
template <class T>
T atomicXor(T* address, std::type_identity_t<T> value) {
    return std::exchange(*address, *address ^ value);
}
template <class T>
T atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
    return std::exchange(*address, *address == expected ? value : *address);
}
inline unsigned atomicInc(unsigned* address, unsigned most) {
    return std::exchange(*address, *address >= most ? 0 : *address + 1);
}
