package io.nativenorm.spark;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.deploy.master.Master;
import org.apache.spark.deploy.worker.Worker;
import org.apache.spark.launcher.JavaModuleOptions;

/** A master and workers of Spark's, from its jars, on this machine alone. */
final class Cluster implements AutoCloseable {
  private static final String LOCAL = "127.0.0.1";

  private final Path folder;
  private final int port = freePort();
  private final List<Process> processes = new ArrayList<>();

  Cluster(Path folder, int workers) throws IOException {
    this.folder = folder;
    Files.createDirectories(folder.resolve("home/jars"));
    String[] where = {"--host", LOCAL, "--port", "" + port, "--webui-port", "0"};
    start(Master.class, where);
    awaitMaster();
    for (int i = 0; i < workers; i++) {
      String work = folder.resolve("work").toString();
      String[] options = {"--host", LOCAL, "--cores", "1", "--memory", "1g", "--work-dir", work};
      List<String> all = new ArrayList<>(List.of(options));
      all.addAll(List.of("--webui-port", "0", master()));
      start(Worker.class, all.toArray(String[]::new));
    }
  }

  private String master() {
    return "spark://" + LOCAL + ":" + port;
  }

  private void start(Class<?> main, String... arguments) throws IOException {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(List.of(JavaModuleOptions.defaultModuleOptionArray()));
    command.addAll(List.of("-Xmx256m", "-cp", System.getProperty("java.class.path")));
    command.add(main.getName());
    command.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(command).inheritIO();
    builder.environment().put("SPARK_LOCAL_IP", LOCAL);
    builder.environment().put("SPARK_SCALA_VERSION", "2.13");
    builder.environment().put("SPARK_HOME", folder.resolve("home").toString());
    processes.add(builder.start());
  }

  private void awaitMaster() throws IOException {
    long begin = System.nanoTime();
    while (true) {
      try {
        new Socket(InetAddress.getByName(LOCAL), port).close();
        return;
      } catch (IOException notYet) {
        if (System.nanoTime() - begin > TimeUnit.SECONDS.toNanos(60)) {
          throw notYet;
        }
      }
    }
  }

  /** An application, whose driver is this process. */
  JavaSparkContext application() {
    return new JavaSparkContext(
        new SparkConf()
            .setMaster(master())
            .setAppName("exchange")
            .set("spark.ui.enabled", "false")
            .set("spark.driver.host", LOCAL)
            .set("spark.driver.bindAddress", LOCAL)
            .set("spark.executor.memory", "512m")
            .set("spark.executor.cores", "1")
            .set("spark.executor.extraClassPath", System.getProperty("java.class.path"))
            .set("spark.local.dir", folder.resolve("local").toString())
            // Else late executors are waited for at each of several tries, 15 s each.
            .set("spark.cores.max", "" + (processes.size() - 1))
            .set("spark.scheduler.minRegisteredResourcesRatio", "1.0"));
  }

  /** Nothing of it is left, executors included. */
  @Override
  public void close() {
    processes.forEach(Process::destroy);
    for (Process process : processes) {
      try {
        assertTrue(process.waitFor(60, TimeUnit.SECONDS));
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
    }
    long begin = System.nanoTime();
    while (running() > 0 && System.nanoTime() - begin < TimeUnit.SECONDS.toNanos(30)) {
      Thread.onSpinWait();
    }
    assertEquals(0, running());
  }

  private long running() {
    String sign = folder.toString(); // in the class path or the options of each executor
    return ProcessHandle.current().descendants().filter(ProcessHandle::isAlive).count()
        + ProcessHandle.allProcesses()
            .filter(p -> p.info().commandLine().orElse("").contains(sign))
            .count();
  }

  private static int freePort() {
    try (ServerSocket any = new ServerSocket(0, 1, InetAddress.getByName(LOCAL))) {
      return any.getLocalPort();
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }
}
