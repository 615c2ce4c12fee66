package io.nativenorm.engine.memory;

import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** How much the pool may keep: a share of the limits on native memory, or less. */
final class PoolBound {
  private static final String PROPERTY = "nativenorm.pool";

  private static final Pattern BYTES = Pattern.compile("(\\d{1,15})([kmg]?)");

  private PoolBound() {}

  /**
   * Reads the bound.
   *
   * @throws IllegalArgumentException if the property is no number of bytes
   */
  static long bytes() {
    long share = NativeMemory.share();
    String wanted = System.getProperty(PROPERTY);
    return wanted == null ? share : Math.min(share, parse(wanted));
  }

  /** A number of bytes, or of k, m or g of them, as the JVM's own options take them. */
  static long parse(String wanted) {
    Matcher bytes = BYTES.matcher(wanted.strip().toLowerCase(Locale.ROOT));
    if (!bytes.matches()) {
      throw new IllegalArgumentException(
          PROPERTY + " expects a number of bytes, such as 512m, or 0, but got " + wanted);
    }
    int shift =
        switch (bytes.group(2)) {
          case "k" -> 10;
          case "m" -> 20;
          case "g" -> 30;
          default -> 0;
        };
    long number = Long.parseLong(bytes.group(1));
    return number > Long.MAX_VALUE >> shift ? Long.MAX_VALUE : number << shift;
  }
}
