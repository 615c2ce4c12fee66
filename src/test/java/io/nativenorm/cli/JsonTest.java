package io.nativenorm.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonParser;
import java.util.List;
import org.junit.jupiter.api.Test;

class JsonTest {
  private record Inner(int count, Double share) {}

  private record Outer(String name, List<Inner> inner, boolean is, Thread.State state, Long none) {}

  @Test
  void recordsAreObjectsOfAllTheirComponents() {
    Outer outer =
        new Outer(
            "a",
            List.of(new Inner(-1, 0.5), new Inner(2, Double.NaN)),
            true,
            Thread.State.NEW,
            null);
    assertEquals(
        "{\"name\":\"a\",\"inner\":[{\"count\":-1,\"share\":0.5},{\"count\":2,\"share\":null}],"
            + "\"is\":true,\"state\":\"NEW\",\"none\":null}",
        Json.of(outer));
    assertEquals("[]", Json.of(List.of()));
  }

  @Test
  void numbersThatJsonDoesNotHaveAreNull() {
    for (double value : new double[] {Double.NaN, 1 / 0.0, -1 / 0.0}) {
      assertEquals("null", Json.of(value));
    }
    for (double value : new double[] {0, -0.0, 1e-300, Double.MIN_VALUE, -Double.MAX_VALUE}) {
      assertEquals(value, JsonParser.parseString(Json.of(value)).getAsDouble());
    }
  }

  @Test
  void everyCharacterComesBack() {
    StringBuilder text = new StringBuilder();
    for (int c = 0; c <= Character.MAX_VALUE; c++) {
      text.append((char) c); // lone surrogates too
    }
    String json = Json.of(text.toString());
    assertEquals(text.toString(), JsonParser.parseString(json).getAsString());
    assertTrue(json.chars().allMatch(c -> c >= ' ' && c <= '~'));
  }
}
