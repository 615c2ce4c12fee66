package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.nativenorm.engine.LeakCheck.LeavesMemoryToTheCollector;
import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tensors on the memory of arenas: after {@code Arena.close} they are as closed as the buffer. */
@LeavesMemoryToTheCollector
class ArenaTest {
  /** Every way to use the elements of x, of (2, 3), which the pass was made of. */
  private static Map<String, Executable> uses(Tensor x, LayerNorm layer, Pass pass, BatchNorm batch)
      throws Exception {
    Tensor other = Tensor.zeros(2, 3);
    Map<String, Tensor> state = new HashMap<>(layer.state());
    state.put("weight", x);
    Map<String, Executable> uses = new LinkedHashMap<>();
    uses.put("forward", () -> layer.forward(x));
    uses.put("forward in place", () -> layer.forward(x, x));
    uses.put("forward into it", () -> layer.forward(other, x));
    uses.put("forward of it", () -> layer.forward(x, other));
    uses.put("training", () -> layer.forwardTraining(x));
    uses.put("frozen", () -> batch.forwardFrozen(x));
    uses.put("backward of it", () -> pass.backward(other));
    uses.put("gradient", () -> layer.forwardTraining(other).backward(x));
    uses.put("load", () -> layer.load(state));
    uses.put("toArray", x::toArray);
    uses.put("copyTo", () -> x.copyTo(new float[6]));
    uses.put("copyFrom", () -> x.copyFrom(new float[6]));
    uses.put("copyFrom a buffer", () -> x.copyFrom(FloatBuffer.allocate(6)));
    uses.put("get", () -> x.get(1, 2));
    uses.put("set", () -> x.set(1, 1, 2));
    uses.put("addScaled", () -> x.addScaled(1, other));
    uses.put("addScaled of it", () -> other.addScaled(1, x));
    uses.put("to a layout", () -> x.to(Layout.CHANNELS_LAST));
    uses.put("to a type", () -> x.to(DataType.I64));
    uses.put("reshape", () -> x.reshape(6));
    uses.put("narrow", () -> x.narrow(0, 0, 1));
    uses.put("share", x::share);
    uses.put("in", () -> x.in(Layout.CHANNELS_LAST));
    uses.put("pointer", x::pointer);
    uses.put("buffer", x::buffer);
    uses.put("plainPass", () -> NativeNorm.plainPass(x, other, 1, 0));
    uses.put("plainPass into it", () -> NativeNorm.plainPass(other, x, 1, 0));
    return uses;
  }

  @ParameterizedTest
  @ValueSource(strings = {"Shared", "Confined"})
  void afterItsArenaATensorIsNotUsed(String kind) throws Exception {
    TestArena arena = TestArena.of(kind);
    ByteBuffer bytes = arena.bytes(6);
    FloatBuffer buffer = bytes.asFloatBuffer();
    try (LayerNorm layer = LayerNorm.of(2, 3);
        BatchNorm batch = BatchNorm.of(3);
        Tensor x = Tensor.wrap(buffer, 2, 3);
        Tensor again = x.reshape(2, 3);
        Tensor onBytes = Tensor.wrap(bytes, DataType.F32, Layout.CHANNELS_FIRST, 2, 3);
        Pass pass = layer.forwardTraining(x)) {
      x.copyFrom(new float[] {1, 2, 3, 4, 5, 6});
      FloatBuffer live = x.buffer();
      assertEquals(4, live.get(3));
      layer.forward(x, x);
      arena.close();
      if (!TestArena.ARE_THERE) {
        assertThrows(ClassNotFoundException.class, () -> TestArena.type("Arena"));
        assertEquals(6, x.toArray().length, "a buffer without an arena lasts");
        return;
      }
      assertThrows(IllegalStateException.class, () -> buffer.get(0));
      assertThrows(IllegalStateException.class, () -> live.get(0));
      assertThrows(IllegalStateException.class, () -> Tensor.wrap(buffer, 2, 3));
      assertThrows(
          IllegalStateException.class,
          () -> Tensor.wrap(bytes, DataType.F32, Layout.CHANNELS_FIRST, 2, 3));
      for (Tensor each : new Tensor[] {x, again, onBytes}) {
        uses(each, layer, pass, batch)
            .forEach((name, use) -> assertThrows(IllegalStateException.class, use, name));
      }
      assertArrayEquals(new float[] {1, 1, 1, 1, 1, 1}, layer.weight().toArray());
    }
  }

  @Test
  void onAnotherThreadAConfinedArenasTensorIsNotUsed() throws Exception {
    try (TestArena arena = TestArena.of("Confined");
        LayerNorm layer = LayerNorm.of(2, 3);
        BatchNorm batch = BatchNorm.of(3);
        Tensor x = arena.tensor(2, 3);
        Pass pass = layer.forwardTraining(x)) {
      for (Map.Entry<String, Executable> use : uses(x, layer, pass, batch).entrySet()) {
        boolean isMissing = use.getKey().startsWith("plainPass") && !TestEngines.hasFused();
        String done = isMissing ? "NativeNormException" : "nothing";
        String thrown = TestArena.ARE_THERE ? "WrongThreadException" : done;
        assertEquals(thrown, thrownElsewhere(use.getValue()), use.getKey());
      }
      x.toArray(); // and here still is
    }
  }

  private static String thrownElsewhere(Executable use) {
    try {
      CompletableFuture.runAsync(
              () -> {
                try {
                  use.execute();
                } catch (Throwable e) {
                  throw new CompletionException(e);
                }
              },
              task -> new Thread(task).start())
          .join();
      return "nothing";
    } catch (CompletionException e) {
      return e.getCause().getClass().getSimpleName();
    }
  }

  @Test
  void anArenaClosesWhatIsUnderASharedTensorAtOnce() throws Exception {
    for (int floats : new int[] {8, 1 << 20}) {
      TestArena arena = TestArena.of("Shared");
      try (LayerNorm layer = LayerNorm.of(8);
          Tensor x = arena.tensor(floats / 8, 8)) {
        arena.close();
        if (TestArena.ARE_THERE) {
          assertThrows(IllegalStateException.class, () -> layer.forward(x, x));
        } else {
          layer.forward(x, x);
        }
      }
    }
  }

  @Test
  void arenasThatCannotBeClosedAreNoHindrance() throws Exception {
    for (String kind : new String[] {"Auto", "Global"}) {
      Tensor x = TestArena.of(kind).tensor(2, 3);
      assertEquals("nothing", thrownElsewhere(x::toArray), kind);
    }
  }
}
