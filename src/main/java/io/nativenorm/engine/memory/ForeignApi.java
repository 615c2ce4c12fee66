package io.nativenorm.engine.memory;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;

/**
 * {@code java.lang.foreign} by method handles: JDK 22 and later have it, and this is compiled for
 * 17. Its objects are Objects here.
 */
final class ForeignApi {
  /** Before 22 it was a preview, with other names. */
  static final boolean IS_THERE = Runtime.version().feature() >= 22;

  private ForeignApi() {}

  /** A call that throws nothing which is checked, though a method handle's signature says so. */
  interface Call<T> {
    T run() throws Throwable;
  }

  /** One of its types, such as {@code Linker$Option}. */
  static Class<?> type(String name) {
    return run(() -> Class.forName("java.lang.foreign." + name));
  }

  /** A public method, the receiver first if it has one; all that are references are Objects. */
  static MethodHandle method(Class<?> owner, String name, Class<?>... parameters) {
    MethodHandle found =
        run(() -> MethodHandles.lookup().unreflect(owner.getMethod(name, parameters)));
    return found.asFixedArity().asType(found.type().erase());
  }

  /** The value of a constant. */
  static Object constant(Class<?> owner, String name) {
    return run(() -> owner.getField(name).get(null));
  }

  static <T> T run(Call<T> call) {
    try {
      return call.run();
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }
}
