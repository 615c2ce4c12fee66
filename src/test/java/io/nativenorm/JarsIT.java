package io.nativenorm;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import java.io.IOException;
import java.io.InputStream;
import java.lang.module.ModuleFinder;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.jar.JarFile;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import java.util.zip.ZipEntry;
import org.bytedeco.javacpp.Loader;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What is in the finished jars. */
class JarsIT {
  private static final String JAR = System.getProperty("nativenorm.jar");
  private static final Path TARGET = Path.of(JAR).getParent();
  static final Set<String> PLATFORMS =
      Set.of("linux-x86_64", "linux-arm64", "macosx-arm64", "macosx-x86_64", "windows-x86_64");

  private static List<String> files(Path jar) throws IOException {
    try (JarFile file = new JarFile(jar.toFile())) {
      return file.stream().filter(e -> !e.isDirectory()).map(ZipEntry::getName).toList();
    }
  }

  /** The platforms for which a jar has a library of a folder. */
  private static Set<String> platforms(Path jar, String folder) throws IOException {
    return files(jar).stream()
        .filter(name -> name.startsWith(folder + "/") && name.matches(".*\\.(so|dll|dylib).*"))
        .map(name -> name.substring(folder.length() + 1, name.lastIndexOf('/')))
        .collect(Collectors.toCollection(TreeSet::new));
  }

  private static Set<String> ours(Path jar) throws IOException {
    return platforms(jar, "io/nativenorm/engine/fused");
  }

  /** For which this build has made our library. */
  private static Set<String> built() throws IOException {
    try (Stream<Path> folders = Files.list(TARGET.resolve("classes/io/nativenorm/engine/fused"))) {
      return folders
          .filter(Files::isDirectory)
          .map(folder -> folder.getFileName().toString())
          .collect(Collectors.toCollection(TreeSet::new));
    }
  }

  @Test
  void theMainJarIsSmallAndHasNoBinaries() throws IOException {
    Path jar = Path.of(JAR + ".jar");
    assertEquals(Set.of(), ours(jar));
    // One library has 1.3 MB.
    assertTrue(Files.size(jar) < 700_000, Files.size(jar) + " bytes");
    assertTrue(files(jar).containsAll(List.of("META-INF/LICENSE", "META-INF/NOTICE")));
    assertEquals("io.nativenorm", moduleOf(jar));
  }

  @Test
  void eachPlatformHasAJarWithItsLibraryAlone() throws IOException {
    Set<String> built = built();
    assertTrue(PLATFORMS.containsAll(built), built::toString);
    for (String platform : PLATFORMS) {
      Path jar = Path.of(JAR + "-" + platform + ".jar");
      assertEquals(built.contains(platform) ? Set.of(platform) : Set.of(), ours(jar));
      assertEquals("io.nativenorm." + platform.replace('-', '.'), moduleOf(jar));
      assertTrue(files(jar).containsAll(List.of("META-INF/LICENSE", "META-INF/NOTICE")));
    }
    assertEquals("io.nativenorm.platform", moduleOf(TARGET.resolve("nativenorm-platform.jar")));
  }

  /**
   * What GraalVM's native-image must know: classes that there are, and the library as a resource.
   */
  @Test
  void eachLibraryHasItsReachabilityMetadata() throws Exception {
    for (String platform : built()) {
      Path jar = Path.of(JAR + "-" + platform + ".jar");
      String library =
          files(jar).stream().filter(name -> name.contains("jninativenorm.")).findFirst().get();
      String folder = "META-INF/native-image/" + platform + "/jninativenorm/";
      for (String use : List.of("jni", "reflect")) {
        Set<String> names = new TreeSet<>();
        for (JsonElement entry : json(jar, folder + use + "-config.json").getAsJsonArray()) {
          names.add(entry.getAsJsonObject().get("name").getAsString());
        }
        assertTrue(names.contains("io.nativenorm.engine.fused.NativeKernels"), names::toString);
        for (String name : names) {
          Class.forName(name, false, getClass().getClassLoader()); // throws if there is none
        }
      }
      boolean isResource = false;
      JsonObject resources = json(jar, folder + "resource-config.json").getAsJsonObject();
      for (JsonElement entry : resources.getAsJsonArray("resources")) {
        isResource |= library.matches(entry.getAsJsonObject().get("pattern").getAsString());
      }
      assertTrue(isResource, library + " is none of " + resources);
    }
  }

  private static JsonElement json(Path jar, String name) throws IOException {
    try (JarFile file = new JarFile(jar.toFile());
        InputStream content = file.getInputStream(file.getJarEntry(name))) {
      return JsonParser.parseString(new String(content.readAllBytes(), StandardCharsets.UTF_8));
    }
  }

  private static String moduleOf(Path jar) {
    return ModuleFinder.of(jar).findAll().iterator().next().descriptor().name();
  }

  /** Everyone whom the umask lets read new files can read the jars. */
  @Test
  @DisabledOnOs(OS.WINDOWS)
  void theJarsHaveTheModeOfNewFiles(@TempDir Path folder) throws IOException {
    Path fresh = Files.createFile(folder.resolve("fresh"));
    try (DirectoryStream<Path> jars = Files.newDirectoryStream(TARGET, "nativenorm*.jar")) {
      for (Path jar : jars) {
        assertEquals(
            Files.getPosixFilePermissions(fresh),
            Files.getPosixFilePermissions(jar),
            jar::toString);
      }
    }
  }

  @Test
  void theExecutableJarHasEverything() throws IOException {
    Path jar = TARGET.resolve("nativenorm-all.jar");
    assertEquals(PLATFORMS, platforms(jar, "org/bytedeco/dnnl"));
    assertEquals(built(), ours(jar));
    assertFalse(files(jar).stream().anyMatch(name -> name.endsWith("module-info.class")));
  }

  @Test
  void theSmallOneHasAllButOneDnn() throws IOException {
    Path jar = TARGET.resolve("nativenorm-small.jar");
    assertEquals(Set.of(), platforms(jar, "org/bytedeco/dnnl"));
    assertEquals(built(), ours(jar));
    assertTrue(Files.size(jar) < 10_000_000, Files.size(jar) + " bytes");
  }

  @ParameterizedTest
  @ValueSource(strings = {"all", "small"})
  void theExecutableJarsRun(String name) throws Exception {
    String java = System.getProperty("java.home") + "/bin/java";
    String jar = TARGET.resolve("nativenorm-" + name + ".jar").toString();
    JavaProcess process = JavaProcess.run(List.of(java, "-jar", jar, "--version"), Map.of());
    assertEquals(0, process.status(), process.output());
    boolean hasLibrary = built().contains(Loader.getPlatform());
    assertEquals(hasLibrary, process.output().contains("  FUSED: kernels"), process.output());
    String oneDnn =
        name.equals("all") ? "  ONEDNN: oneDNN" : "  ONEDNN is missing: oneDNN's presets, org.byte";
    assertTrue(process.output().contains(oneDnn), process.output());
  }

  @Test
  void theBillOfMaterialsNamesEveryDependencyAndItsLicense() throws IOException {
    JsonObject bill =
        JsonParser.parseString(Files.readString(TARGET.resolve("bom.json"))).getAsJsonObject();
    Set<String> names = new TreeSet<>();
    for (JsonElement element : bill.getAsJsonArray("components")) {
      JsonObject component = element.getAsJsonObject();
      names.add(component.get("name").getAsString());
      assertFalse(component.getAsJsonArray("licenses").isEmpty(), component::toString);
    }
    assertTrue(
        names.containsAll(Set.of("javacpp", "dnnl", "opencl", "picocli", "gson")), names::toString);
    assertFalse(names.contains("archunit"), names::toString);
    assertTrue(
        StreamSupport.stream(
                bill.getAsJsonObject("metadata")
                    .getAsJsonObject("component")
                    .getAsJsonArray("licenses")
                    .spliterator(),
                false)
            .anyMatch(license -> license.toString().contains("Apache-2.0")));
  }
}
