// Memory between two pages that cannot be touched.
#ifndef NATIVENORM_GUARDED_MEMORY_H_
#define NATIVENORM_GUARDED_MEMORY_H_

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>

#include "os.h"

namespace nntest {

// Where an array lies: `gap` elements before the page that ends the memory, or after the one it begins with. With no
// gap, a read or write one element too far ends the program; with one, an array has any alignment.
enum class Side { kEnd, kBegin };
constexpr Side kSides[] = {Side::kEnd, Side::kBegin};

inline const char* NameOf(Side side) { return side == Side::kEnd ? "end" : "begin"; }

class GuardedMemory {
 public:
  explicit GuardedMemory(size_t bytes) {
    const size_t page = PageBytes();
    bytes_ = (bytes + 2 * kWatched + page - 1) / page * page;
    reserved_ = bytes_ + 2 * page;
    pages_ = ReservePages(reserved_);
    begin_ = pages_ + page;
    OpenPages(begin_, bytes_);
  }
  ~GuardedMemory() { ReleasePages(pages_, reserved_); }
  GuardedMemory(const GuardedMemory&) = delete;
  GuardedMemory& operator=(const GuardedMemory&) = delete;

  // An array of NaNs; so is what is around it. The one before is gone.
  template <class T>
  T* Place(size_t count, Side side, size_t gap) {
    const size_t bytes = count * sizeof(T), away = gap * sizeof(T);
    if (bytes + away > bytes_) {
      fprintf(stderr, "too much to place\n");
      abort();
    }
    array_ = side == Side::kEnd ? begin_ + bytes_ - away - bytes : begin_ + away;
    array_end_ = array_ + bytes;
    char* from = WatchedBegin();
    memset(from, kFill, static_cast<size_t>(WatchedEnd() - from));
    return reinterpret_cast<T*>(array_);
  }

  // Whether the bytes around the array are as they were.
  bool IsIntact() const { return AllFilled(WatchedBegin(), array_) && AllFilled(array_end_, WatchedEnd()); }

  // Whether nothing was written here.
  template <class T>
  static bool IsUntouched(const T& element) {
    const char* from = reinterpret_cast<const char*>(&element);
    return AllFilled(from, from + sizeof(T));
  }

 private:
  static constexpr int kFill = 0xff;  // as a float and as a double: not a number
  static constexpr ptrdiff_t kWatched = 256;

  char* WatchedBegin() const { return array_ - std::min(kWatched, array_ - begin_); }
  char* WatchedEnd() const { return array_end_ + std::min(kWatched, begin_ + bytes_ - array_end_); }

  static bool AllFilled(const char* from, const char* end) {
    return std::all_of(from, end, [](char byte) { return byte == static_cast<char>(kFill); });
  }

  size_t bytes_;
  size_t reserved_;
  char* pages_;
  char* begin_;
  char* array_ = nullptr;
  char* array_end_ = nullptr;
};

}  // namespace nntest

#endif  // NATIVENORM_GUARDED_MEMORY_H_
