package io.nativenorm.engine.memory;

import io.nativenorm.engine.NativeAccess;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.reflect.Array;
import java.util.Optional;

/**
 * The C library's {@code bsearch(key, base, 1, 1, compare)}, which compares once. Read only where
 * there is {@code java.lang.foreign}.
 */
final class Bsearch {
  private static final Class<?> LAYOUT = ForeignApi.type("MemoryLayout");
  private static final Class<?> FUNCTION = ForeignApi.type("FunctionDescriptor");
  private static final Class<?> LINKER = ForeignApi.type("Linker");
  private static final Class<?> ARENA = ForeignApi.type("Arena");
  private static final Class<?> OPTIONS = ForeignApi.type("Linker$Option").arrayType();

  /** Of a segment as key, one as base, to a long; null if there is none. */
  static final MethodHandle HANDLE;

  /** Why there is none, or null. */
  static final String MISSING;

  static {
    MethodHandle handle = null;
    String missing = null;
    try {
      handle = ForeignApi.run(Bsearch::link);
    } catch (IllegalCallerException e) {
      missing = NativeAccess.denied(Bsearch.class);
    } catch (RuntimeException | LinkageError e) {
      missing = e.toString();
    }
    HANDLE = handle;
    MISSING = missing;
  }

  private Bsearch() {}

  private static MethodHandle link() throws Throwable {
    Class<?> values = ForeignApi.type("ValueLayout");
    Object pointer = ForeignApi.constant(values, "ADDRESS");
    Object word = ForeignApi.constant(values, "JAVA_LONG");
    Object none = Array.newInstance(OPTIONS.componentType(), 0);
    Object linker = ForeignApi.method(LINKER, "nativeLinker").invoke();
    // The comparison gets its pointers as numbers: as segments they would be objects.
    Object stub =
        ForeignApi.method(LINKER, "upcallStub", MethodHandle.class, FUNCTION, ARENA, OPTIONS)
            .invoke(
                linker,
                comparison(),
                function(ForeignApi.constant(values, "JAVA_INT"), word, word),
                ForeignApi.method(ARENA, "global").invoke(),
                none);
    Class<?> segment = ForeignApi.type("MemorySegment");
    Object bsearch =
        ForeignApi.method(LINKER, "downcallHandle", segment, FUNCTION, OPTIONS)
            .invoke(
                linker,
                address(linker),
                function(word, pointer, pointer, word, word, pointer),
                none);
    MethodHandle once = MethodHandles.insertArguments((MethodHandle) bsearch, 2, 1L, 1L, stub);
    return once.asType(once.type().erase());
  }

  private static MethodHandle comparison() throws ReflectiveOperationException {
    return MethodHandles.lookup()
        .unreflect(ArenaHold.class.getDeclaredMethod("compare", long.class, long.class));
  }

  private static Object address(Object linker) throws Throwable {
    Object library = ForeignApi.method(LINKER, "defaultLookup").invoke(linker);
    Class<?> lookup = ForeignApi.type("SymbolLookup");
    Object found = ForeignApi.method(lookup, "find", String.class).invoke(library, "bsearch");
    return ((Optional<?>) found).orElseThrow();
  }

  private static Object function(Object result, Object... arguments) throws Throwable {
    Object[] layouts = (Object[]) Array.newInstance(LAYOUT, arguments.length);
    System.arraycopy(arguments, 0, layouts, 0, arguments.length);
    return ForeignApi.method(FUNCTION, "of", LAYOUT, LAYOUT.arrayType())
        .invoke(result, (Object) layouts);
  }
}
