package io.nativenorm.engine.memory;

import java.lang.invoke.MethodHandle;
import java.nio.Buffer;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HashSet;
import java.util.Set;

/** What is asked of a {@code java.lang.foreign.MemorySegment}. */
final class Segments {
  /** Read only where there are segments. */
  private static final class Api {
    static final Class<?> SEGMENT = ForeignApi.type("MemorySegment");
    static final MethodHandle OF_BUFFER = ForeignApi.method(SEGMENT, "ofBuffer", Buffer.class);
    static final MethodHandle SCOPE = ForeignApi.method(SEGMENT, "scope");
    static final MethodHandle ADDRESS = ForeignApi.method(SEGMENT, "address");
    static final MethodHandle BYTE_SIZE = ForeignApi.method(SEGMENT, "byteSize");
    static final MethodHandle IS_NATIVE = ForeignApi.method(SEGMENT, "isNative");
    static final MethodHandle AS_BYTE_BUFFER = ForeignApi.method(SEGMENT, "asByteBuffer");
    static final MethodHandle AS_SLICE =
        ForeignApi.method(SEGMENT, "asSlice", long.class, long.class);

    /** Of scopes that do not end while a segment of theirs is reachable. */
    static final Set<Class<?>> LASTING = ForeignApi.run(Api::lastingScopes);

    /** A JDK that had one class for all of them would only have more memory held. */
    private static Set<Class<?>> lastingScopes() throws Throwable {
      Class<?> arena = ForeignApi.type("Arena");
      MethodHandle scope = ForeignApi.method(arena, "scope");
      Set<Class<?>> lasting = new HashSet<>();
      lasting.add(scope.invoke(ForeignApi.method(arena, "global").invoke()).getClass());
      lasting.add(scope.invoke(ForeignApi.method(arena, "ofAuto").invoke()).getClass());
      lasting.add(SCOPE.invoke(OF_BUFFER.invoke(ByteBuffer.allocateDirect(1))).getClass());
      for (String kind : new String[] {"ofShared", "ofConfined"}) {
        Object closed = ForeignApi.method(arena, kind).invoke();
        lasting.remove(scope.invoke(closed).getClass());
        ((AutoCloseable) closed).close();
      }
      return lasting;
    }
  }

  private Segments() {}

  /** Whether an object is one. */
  static boolean isSegment(Object owner) {
    return ForeignApi.IS_THERE && Api.SEGMENT.isInstance(owner);
  }

  /** All of a direct buffer. */
  static Object ofBuffer(Buffer direct) {
    return ForeignApi.run(() -> (Object) Api.OF_BUFFER.invokeExact((Object) direct));
  }

  /** Whether its arena can be closed while it is reachable. */
  static boolean canEnd(Object segment) {
    Object scope = ForeignApi.run(() -> (Object) Api.SCOPE.invokeExact(segment));
    return !Api.LASTING.contains(scope.getClass());
  }

  static boolean isOnHeap(Object segment) {
    return !ForeignApi.run(() -> (boolean) Api.IS_NATIVE.invokeExact(segment));
  }

  static long address(Object segment) {
    return ForeignApi.run(() -> (long) Api.ADDRESS.invokeExact(segment));
  }

  static long bytes(Object segment) {
    return ForeignApi.run(() -> (long) Api.BYTE_SIZE.invokeExact(segment));
  }

  /** Some of its bytes, which the JDK looks after: in native order. */
  static ByteBuffer buffer(Object segment, long from, int count) {
    return ForeignApi.run(
        () -> {
          Object part = (Object) Api.AS_SLICE.invokeExact(segment, from, (long) count);
          Object bytes = (Object) Api.AS_BYTE_BUFFER.invokeExact(part);
          return ((ByteBuffer) bytes).order(ByteOrder.nativeOrder());
        });
  }
}
