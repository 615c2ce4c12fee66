package io.nativenorm.engine.reference;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.management.HotSpotDiagnosticMXBean;
import io.nativenorm.Backend;
import io.nativenorm.JavaProcess;
import io.nativenorm.LayerNorm;
import io.nativenorm.NativeNorm;
import io.nativenorm.Tensor;
import java.lang.management.ManagementFactory;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** Without the instruction JAVA goes by doubles, and says so. */
class FusedMultiplyAddTest {
  private static String description() {
    return NativeNorm.engines().stream()
        .filter(engine -> engine.backend() == Backend.JAVA)
        .findFirst()
        .orElseThrow()
        .detail();
  }

  @Test
  void withTheInstructionTheOrderIsThatOfFused() {
    HotSpotDiagnosticMXBean flags =
        ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class);
    boolean there = flags.getVMOption("UseFMA").getValue().equals("true");
    assertEquals(there, description().contains("FUSED's order"), description());
    assertEquals(there, !description().contains("doubles"), description());
  }

  @Test
  void withoutItSumsAreInDoubles() throws Exception {
    JavaProcess process = JavaProcess.run(Child.class, Map.of(), "-XX:-UseFMA");
    assertEquals(0, process.status(), process.output());
    assertTrue(process.output().contains("pure Java, two passes in doubles"), process.output());
    assertTrue(process.output().contains("kernel reference in doubles"), process.output());
    assertTrue(process.output().contains("[-1.3416, -0.4472, 0.4472, 1.3416]"), process.output());
    assertTrue(process.output().contains("[0.0, NaN, 0.0, 0.0]"), process.output());
  }

  /** Runs in a JVM of its own. */
  public static final class Child {
    private Child() {}

    /** Prints what JAVA says of itself and what it computes, and of one value with a NaN weight. */
    public static void main(String[] arguments) {
      System.out.println(description());
      try (LayerNorm layer = LayerNorm.builder(4).eps(0).backend(Backend.JAVA).build();
          Tensor x = Tensor.of(new float[] {1, 2, 3, 4}, 1, 4);
          Tensor y = layer.forward(x)) {
        float[] rounded = y.toArray();
        for (int i = 0; i < rounded.length; i++) {
          rounded[i] = Math.round(rounded[i] * 1e4f) / 1e4f;
        }
        System.out.println(Arrays.toString(rounded));
        System.out.println(layer.explain(x));
        layer.weight().copyFrom(new float[] {1, Float.NaN, 1, 1});
        x.copyFrom(new float[] {5, 5, 5, 5});
        layer.forward(x, y);
        System.out.println(Arrays.toString(y.toArray()));
      }
    }
  }
}
