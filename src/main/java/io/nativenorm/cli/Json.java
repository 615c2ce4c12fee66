package io.nativenorm.cli;

import java.lang.reflect.RecordComponent;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;

/**
 * Values as JSON (RFC 8259): records as objects of all their components, lists, texts, enums,
 * numbers and booleans. It is ASCII, so that it does not depend on the terminal's character set.
 */
final class Json {
  private Json() {}

  /** One value; null for numbers that JSON does not have, NaN and the infinities. */
  static String of(Object value) {
    if (value instanceof Record fields) {
      return Arrays.stream(fields.getClass().getRecordComponents())
          .map(field -> of(field.getName()) + ":" + of(get(fields, field)))
          .collect(Collectors.joining(",", "{", "}"));
    }
    if (value instanceof List<?> values) {
      return values.stream().map(Json::of).collect(Collectors.joining(",", "[", "]"));
    }
    if (value instanceof String || value instanceof Enum) {
      return quoted(value.toString());
    }
    boolean number = value instanceof Double d ? Double.isFinite(d) : value instanceof Number;
    return number || value instanceof Boolean ? value.toString() : "null";
  }

  private static Object get(Record fields, RecordComponent field) {
    try {
      field.getAccessor().setAccessible(true);
      return field.getAccessor().invoke(fields);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }

  private static String quoted(String text) {
    return text.chars().mapToObj(Json::escaped).collect(Collectors.joining("", "\"", "\""));
  }

  private static String escaped(int c) {
    if (c == '"' || c == '\\') {
      return "\\" + (char) c;
    }
    return c < ' ' || c > '~' ? String.format("\\u%04x", c) : String.valueOf((char) c);
  }
}
