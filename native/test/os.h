// What the tests ask of the operating system.
#ifndef NATIVENORM_OS_H_
#define NATIVENORM_OS_H_

#include <stddef.h>

#include <string>
#include <vector>

namespace nntest {

size_t PageBytes();

// Whole pages that end the program when they are touched, but for those that are opened. Each ends it if it fails.
char* ReservePages(size_t bytes);
void OpenPages(char* from, size_t bytes);
void ReleasePages(char* from, size_t bytes);

// The threads of this process; 0 where that cannot be told.
int ThreadCount();
// Their numbers, as Linux lists them.
std::vector<std::string> Tasks();

}  // namespace nntest

#endif  // NATIVENORM_OS_H_
