import flash.events.DataEvent;
import flash.events.Event;
import flash.events.IOErrorEvent;
import flash.events.SecurityErrorEvent;
import flash.net.XMLSocket;
import flash.xml.XML;

/**
    A small Flash program: connects by `flash.net.XMLSocket` to the host and port that it was written for, logs in, joins
    a room, traces what it receives, and greets back who greets it.
**/
class Talker {
    static inline var HOST = "games.example.org";
    static inline var PORT = 9339;

    static function main():Void {
        var socket = new XMLSocket();
        var tell = function(what:String, detail:String):Void {
            flash.Lib.trace(what + " " + detail);
        };
        socket.addEventListener(Event.CONNECT, function(_:Event):Void {
            tell("connect", "");
            socket.send(new XML("<login nick='talker'/>"));
            socket.send("<join room='stage'/>");
        });
        socket.addEventListener(DataEvent.DATA, function(event:DataEvent):Void {
            tell("data", event.data);
            var frame = new XML(event.data);
            if (frame.localName() == "message" && frame.attribute("from").toString() != "talker") {
                socket.send("<message room='stage'>I heard: " + frame.toXMLString() + "</message>");
            }
        });
        socket.addEventListener(Event.CLOSE, function(_:Event):Void tell("close", ""));
        socket.addEventListener(IOErrorEvent.IO_ERROR, function(event:IOErrorEvent):Void tell("ioError", event.text));
        socket.addEventListener(SecurityErrorEvent.SECURITY_ERROR,
            function(event:SecurityErrorEvent):Void tell("securityError", event.text));
        socket.connect(HOST, PORT);
    }
}
