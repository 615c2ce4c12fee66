// The kernels of one instruction set: compiled once for each, with NN_TARGET its name and the compiler's flags for it.
// Nothing but kernels may be compiled here: the linker could keep a copy of a shared inline function that other CPUs
// cannot run.
#include "kernels/kernels.h"

#include "kernels/columns-inl.h"
#include "kernels/constant-inl.h"
#include "kernels/row_gradient-inl.h"
#include "kernels/row_normalize-inl.h"
#include "kernels/spans-inl.h"

#define NN_STRING_OF(name) #name
#define NN_STRING(name) NN_STRING_OF(name)

namespace nn {
namespace NN_TARGET {

// A kernel as the table has it: where that says void, the kernel says what the elements are.
template <auto kKernel, class Kernel, class Entry>
struct Untyped;
template <auto kKernel, class Result, class... Typed, class... Given>
struct Untyped<kKernel, Result (*)(Typed...), Result (*)(Given...)> {
  static Result Call(Given... given) { return kKernel(static_cast<Typed>(given)...); }
};

#define NN_ENTRY(result, name, parameters) \
  &Untyped<&name<float>, decltype(&name<float>), decltype(KernelTable::name)>::Call,
extern const Target kTarget;
const Target kTarget = {NN_STRING(NN_TARGET), {{NN_KERNELS(NN_ENTRY)}}};
#undef NN_ENTRY

}  // namespace NN_TARGET
}  // namespace nn
