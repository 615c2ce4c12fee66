package io.nativenorm.engine.onednn;

import org.bytedeco.javacpp.Loader;
import org.bytedeco.javacpp.LongPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.opencl.User_func_Pointer;

/**
 * What oneDNN's OpenMP runtime must be told: the size of the calling thread's teams, and to end the
 * workers that it keeps for the next.
 *
 * <p>oneDNN has no call for the number of threads under OpenMP, and no Java binding of OpenMP comes
 * with its presets. So the runtime's own functions are called by address, through the one class in
 * the presets that calls a {@code void (*)(void*)}. An {@code int} argument travels in the same
 * register as a pointer on every platform oneDNN's presets have (System V, AAPCS64, Win64).
 */
final class OpenMp {
  /** {@code omp_pause_soft}: end the workers, keep what threads have stored. */
  private static final int PAUSE_SOFT = 1;

  private final User_func_Pointer setNumThreads;
  private final User_func_Pointer setDynamic;
  private final User_func_Pointer pauseResourceAll;

  private OpenMp(
      User_func_Pointer setNumThreads,
      User_func_Pointer setDynamic,
      User_func_Pointer pauseResourceAll) {
    this.setNumThreads = setNumThreads;
    this.setDynamic = setDynamic;
    this.pauseResourceAll = pauseResourceAll;
  }

  /** Of the process, whose cells for addresses are never freed: it is made once. */
  private static final class Loaded {
    static final OpenMp RUNTIME =
        new OpenMp(
            function("omp_set_num_threads"),
            function("omp_set_dynamic"),
            function("omp_pause_resource_all"));
  }

  /** The runtime that was loaded with oneDNN, if its functions can be found. */
  static OpenMp loaded() {
    return Loaded.RUNTIME;
  }

  /** A runtime whose functions cannot be found. */
  static OpenMp notFound() {
    return new OpenMp(null, null, null);
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

  /**
   * Ends the calling thread's workers and waits for them; its next team starts new ones, and must
   * be sized anew. Returns false where OpenMP is older than 5.0 and cannot.
   */
  boolean endWorkers() {
    if (pauseResourceAll == null) {
      return false;
    }
    pauseResourceAll.call(new IntArgument(PAUSE_SOFT));
    return true;
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
