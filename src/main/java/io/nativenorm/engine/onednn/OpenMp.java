package io.nativenorm.engine.onednn;

import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.opencl.User_func_Pointer;

/**
 * The two settings of the OpenMP runtime inside oneDNN that the calling thread's teams depend on.
 *
 * <p>oneDNN has no call for the number of threads under OpenMP, and no Java binding of OpenMP comes
 * with its presets. So the runtime's own functions are called by address, through the one class in
 * the presets that calls a {@code void (*)(void*)}. An {@code int} argument travels in the same
 * register as a pointer on every platform oneDNN's presets have (System V, AAPCS64, Win64).
 */
final class OpenMp {
  private final User_func_Pointer setNumThreads;
  private final User_func_Pointer setDynamic;

  private OpenMp(User_func_Pointer setNumThreads, User_func_Pointer setDynamic) {
    this.setNumThreads = setNumThreads;
    this.setDynamic = setDynamic;
  }

  /** The runtime that is loaded, if its functions can be found. */
  static OpenMp loaded() {
    return new OpenMp(function("omp_set_num_threads"), function("omp_set_dynamic"));
  }

  /** A runtime whose functions cannot be found. */
  static OpenMp notFound() {
    return new OpenMp(null, null);
  }

  /** Whether the runtime was found: without it a team has the size its environment gives it. */
  boolean isFound() {
    return setNumThreads != null && setDynamic != null;
  }

  /** Makes the calling thread's next teams exactly this large (and keeps OpenMP from shrinking). */
  void setTeam(int threads) {
    if (isFound()) {
      setDynamic.call(new IntArgument(0));
      setNumThreads.call(new IntArgument(threads));
    }
  }

  private static User_func_Pointer function(String symbol) {
    Pointer address = Loader.addressof(symbol);
    if (address == null || address.isNull()) {
      return null;
    }
    // What JavaCPP calls a function pointer is the address of a cell that holds the function's, and
    // of a second one for a Java callback, which there is none of.
    LongPointer cells = new LongPointer(address.address(), 0).retainReference();
    return new User_func_Pointer(cells);
  }

  /** A "pointer" whose address is the argument's value. */
  private static final class IntArgument extends Pointer {
    IntArgument(int value) {
      super((Pointer) null);
      address = value;
    }
  }
}
